// How values are written.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const NO_BREAK = "\u202f";

export const count = (number) => whole.format(number);

/** A probability as a percentage. Only a score of exactly 1 is 100 %. */
export function percent(score) {
  if (score > 0 && score < 0.001) return `<${NO_BREAK}0.1${NO_BREAK}%`;
  return `${tenths.format(score < 1 ? Math.min(score * 100, 99.9) : 100)}${NO_BREAK}%`;
}

export function duration(milliseconds) {
  if (milliseconds >= 10_000) return `${tenths.format(milliseconds / 1000)}${NO_BREAK}s`;
  return `${(milliseconds < 100 ? tenths : whole).format(milliseconds)}${NO_BREAK}ms`;
}

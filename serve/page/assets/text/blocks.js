// A long text in blocks: the browser lays out only the blocks on the screen, and an answer changes only its own block.

const SHORTEST = 2_000; // UTF-16 units; a block is several lines, so that a million short lines are not a million blocks
const LONGEST = 8_000; // a line that is longer than this is shown in several blocks

/**
 * Cut a text into blocks, after a line if possible, else after a space.
 *
 * Each block is {text, firstPoint, lastPoint}: its part of the text, and where this part begins and ends in code points.
 */
export function splitIntoBlocks(text) {
  const blocks = [];
  let point = 0;
  for (let unit = 0; unit < text.length; ) {
    const part = text.slice(unit, unit + blockLength(text.slice(unit, unit + LONGEST + 1)));
    const lastPoint = point + pointsIn(part);
    blocks.push({ text: part, firstPoint: point, lastPoint });
    point = lastPoint;
    unit += part.length;
  }
  return blocks;
}

/** Return the UTF-16 index at which a code point begins. The server counts code points, JavaScript UTF-16 units. */
export function unitOfPoint(text, point) {
  let unit = 0;
  for (let left = point; left > 0 && unit < text.length; left -= 1) {
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  return unit;
}

function blockLength(rest) {
  if (rest.length <= SHORTEST) return rest.length;
  const newline = rest.indexOf("\n", SHORTEST - 1);
  if (newline !== -1) return newline + 1;
  if (rest.length <= LONGEST) return rest.length;
  const space = rest.lastIndexOf(" ");
  if (space > SHORTEST) return space + 1;
  // Do not separate a surrogate pair, or a letter from its accents.
  let end = LONGEST;
  while (end > SHORTEST && /^[\uDC00-\uDFFF\p{M}\u200D]/u.test(rest.slice(end, end + 2))) end -= 1;
  return end;
}

/** Return the number of code points of a text. */
export function pointsIn(text) {
  let points = 0;
  for (let unit = 0; unit < text.length; points += 1) {
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  return points;
}

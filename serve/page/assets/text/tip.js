// What an answer in the text is, shown beside the pointer. The list of answers says the same to everybody else.

const DISTANCE = 12; // pixels from the pointer

/** Let marks under the pointer emphasize their whole span, and say what it is. */
export function installTip(root, view, tip) {
  root.addEventListener("pointerover", (event) => {
    const span = view.spanAt(event.target);
    view.emphasize(span);
    tip.hidden = span === null;
    if (span !== null) tip.textContent = span.label;
  });
  root.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    const left = Math.min(event.clientX + DISTANCE, window.innerWidth - tip.offsetWidth - DISTANCE);
    const below = event.clientY + DISTANCE + tip.offsetHeight < window.innerHeight;
    const top = below ? event.clientY + DISTANCE : event.clientY - DISTANCE - tip.offsetHeight;
    tip.style.transform = `translate(${Math.max(left, 0)}px, ${top}px)`;
  });
  root.addEventListener("pointerleave", () => {
    view.emphasize(null);
    tip.hidden = true;
  });
}

// What an answer in the text is, shown beside the pointer. The list of answers says the same to everybody else.

const DISTANCE = 12; // pixels from the pointer

/** Let marks under the pointer emphasize their whole span, and say what it is. */
export function installTip(root, view, tip) {
  root.addEventListener("pointerover", (event) => {
    const span = view.spanAt(event.target);
    view.emphasize(span);
    tip.hidden = span === null;
    if (span === null) return;
    tip.textContent = span.label;
    place(tip, event); // a mark may appear under a pointer that does not move
  });
  root.addEventListener("pointermove", (event) => {
    if (!tip.hidden) place(tip, event);
  });
  root.addEventListener("pointerleave", () => {
    view.emphasize(null);
    tip.hidden = true;
  });
}

/** Put the tip beside the pointer, and inside the window. */
function place(tip, { clientX, clientY }) {
  const left = Math.min(clientX + DISTANCE, window.innerWidth - tip.offsetWidth - DISTANCE);
  const below = clientY + DISTANCE + tip.offsetHeight < window.innerHeight;
  const top = below ? clientY + DISTANCE : clientY - DISTANCE - tip.offsetHeight;
  tip.style.transform = `translate(${Math.max(left, 0)}px, ${top}px)`;
}

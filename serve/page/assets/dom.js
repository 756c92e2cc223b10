// Elements without HTML: every text of a user or of the server goes into the page as a text node.

export const byId = (id) => document.getElementById(id);

/** Create an element. Properties are set as they are, those with a hyphen and `role` as attributes. */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") created.setAttribute(name, value);
    else created[name] = value;
  }
  created.append(...children.filter((child) => child !== null));
  return created;
}

export function button(label, onClick, properties = {}) {
  const created = element("button", { type: "button", ...properties }, label);
  created.addEventListener("click", onClick);
  return created;
}

/** Show a message in an element that is hidden while it has none. */
export function showMessage(target, message) {
  target.textContent = message;
  target.hidden = message === "";
}

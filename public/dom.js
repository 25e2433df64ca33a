// @ts-check

/**
 * The element with an id, or an error that names it: the page and its script must not drift apart silently.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`#${id} is missing`);
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} [className]
 */
export function textElement(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

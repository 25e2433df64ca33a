// @ts-check

import { textElement } from "./dom.js";

/** @import { JobEvent } from "./lib/client.js" */

/**
 * A run of deltas on its one line.
 * @typedef {{ count: number, name: HTMLElement }} Run
 */

/** The log as a list. A run of deltas is one line that counts, so a long answer does not make a long list. */
export class EventList {
  #list;
  /** @type {Run | null} */
  #deltas = null;

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
    list.replaceChildren();
  }

  /**
   * @param {JobEvent} event
   * @param {number} ms since the first event
   */
  add(event, ms) {
    if (event.type !== "delta") this.#deltas = null;
    if (this.#deltas === null) this.#append(event, ms);
    else this.#deltas.name.textContent = `delta × ${++this.#deltas.count}`;
  }

  /**
   * @param {JobEvent} event
   * @param {number} ms
   */
  #append(event, ms) {
    const name = textElement("span", nameOf(event), "name");
    const row = document.createElement("li");
    row.dataset["type"] = event.type;
    row.append(
      textElement("span", String(event.seq), "seq"),
      " ",
      name,
      " ",
      textElement("span", `+${Math.round(ms)} ms`, "ms"),
    );
    this.#list.append(row);
    if (event.type === "delta") this.#deltas = { count: 1, name };
  }
}

/** @param {JobEvent} event */
function nameOf(event) {
  return event.type === "progress" ? `progress ${event.progress}` : event.type;
}

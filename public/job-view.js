// @ts-check

import { element, textElement } from "./dom.js";
import { EventList } from "./event-list.js";
import { isTerminal } from "./lib/client.js";
import { clockTime, span } from "./time.js";

/** @import { JobEvent, JobStatus } from "./lib/client.js" */

/**
 * Where this page stood at the click; null for a job it did not submit.
 * @typedef {{ clickedAt: number, acceptedMs: number } | null} Measured
 */

const section = element("job", HTMLElement);
const body = element("job-body", HTMLElement);
const head = element("job-head", HTMLElement);
const statusText = element("status", HTMLElement);
const step = element("step", HTMLElement);
const connection = element("connection", HTMLElement);
const bar = element("progress", HTMLProgressElement);
const notes = element("notes", HTMLOListElement);
const output = element("output", HTMLElement);
const idLink = element("job-id", HTMLAnchorElement);
const served = element("served", HTMLElement);
const figures = {
  accepted: element("accepted", HTMLElement),
  firstToken: element("first-token", HTMLElement),
  total: element("total", HTMLElement),
  attempt: element("attempt", HTMLElement),
};
const NOT_YET = "–";

/** One job on the page, drawn from its log. A new view wipes the one before. */
export class JobView {
  #measured;
  #events = new EventList(element("log", HTMLOListElement));
  /** Server time of the first event, in milliseconds since the epoch. */
  #queuedAt = 0;
  #tokens = false;
  #text = document.createTextNode("");
  #pending = "";
  #frame = 0;

  /**
   * @param {string} id
   * @param {Measured} measured
   */
  constructor(id, measured) {
    this.#measured = measured;
    idLink.textContent = id;
    idLink.href = `#${encodeURIComponent(id)}`;
    output.replaceChildren(this.#text);
    output.classList.remove("void");
    notes.replaceChildren();
    served.textContent = "";
    bar.value = 0;
    for (const figure of Object.values(figures)) figure.textContent = NOT_YET;
    if (measured !== null) figures.accepted.textContent = span(measured.acceptedMs);
    this.#setStatus("queued", "");
    this.setReconnecting(false);
    body.hidden = false;
  }

  /** The page as it was before any job. */
  static clear() {
    body.hidden = true;
    section.dataset["status"] = "";
    statusText.textContent = step.textContent = "";
    connection.hidden = true;
    document.title = "Afterword";
  }

  reveal() {
    head.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} reconnecting */
  setReconnecting(reconnecting) {
    connection.hidden = !reconnecting;
  }

  /** @param {JobEvent} event */
  show(event) {
    this.#queuedAt ||= Date.parse(event.at);
    this.#events.add(event, Date.parse(event.at) - this.#queuedAt);
    if (event.type === "delta") return this.#addText(event.delta, event.at);
    // What the text becomes next must not overtake text that waits for its frame.
    this.#flush();
    switch (event.type) {
      case "queued":
        return this.#setStatus("queued", "");
      case "started":
        return this.#start(event.attempt, event.provider, event.model);
      case "progress":
        bar.value = event.progress;
        return this.#setStatus("active", event.step);
      case "step_started":
        if (event.message !== undefined) {
          notes.append(textElement("li", `waits for an approval: ${event.message}`));
        }
        return;
      case "step_completed":
        return;
      case "attempt_failed":
        return this.#failAttempt(event);
      case "completed":
        return this.#end("completed", "", event.at);
      case "failed":
        return this.#end("failed", event.error, event.at);
      case "cancelled":
        return this.#end("cancelled", event.reason, event.at);
    }
  }

  /**
   * Many deltas share a frame: a replayed log brings thousands at once.
   *
   * @param {string} delta
   * @param {string} at
   */
  #addText(delta, at) {
    if (!this.#tokens) figures.firstToken.textContent = span(this.#elapsed(at));
    this.#tokens = true;
    this.#pending += delta;
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#text.appendData(this.#pending);
    this.#pending = "";
  }

  /**
   * @param {number} attempt
   * @param {string} provider
   * @param {string} model
   */
  #start(attempt, provider, model) {
    this.#tokens = false;
    this.#text.data = "";
    output.classList.remove("void");
    figures.attempt.textContent = String(attempt);
    figures.firstToken.textContent = NOT_YET;
    this.#setStatus("active", "");
    // A step that calls no model says nothing of who serves the job.
    if (provider === "none") return;
    // The simulator's models carry its name already.
    served.textContent = model.startsWith(`${provider}/`) ? model : `${model}, by ${provider}`;
  }

  /** @param {Extract<JobEvent, { type: "attempt_failed" }>} event */
  #failAttempt({ attempt, error, retry_at }) {
    const next = retry_at === null ? "not tried again" : `retrying at ${clockTime(retry_at)}`;
    notes.append(textElement("li", `attempt ${attempt} failed: ${error} — ${next}`));
    // It stays readable until the next attempt starts; from there its text is void.
    output.classList.add("void");
    bar.value = 0;
    this.#setStatus("queued", "Waiting for the next attempt");
  }

  /**
   * @param {JobStatus} status
   * @param {string} why
   * @param {string} at
   */
  #end(status, why, at) {
    if (status === "completed") bar.value = 100;
    figures.total.textContent = span(this.#elapsed(at));
    this.#setStatus(status, why);
  }

  /**
   * As somebody at this page felt it, or by the log's own clock if nobody was here.
   *
   * @param {string} at
   */
  #elapsed(at) {
    if (this.#measured !== null) return performance.now() - this.#measured.clickedAt;
    return Date.parse(at) - this.#queuedAt;
  }

  /**
   * @param {JobStatus} status
   * @param {string} detail
   */
  #setStatus(status, detail) {
    section.dataset["status"] = status;
    section.ariaBusy = String(!isTerminal(status));
    statusText.textContent = status;
    step.textContent = detail;
    document.title = `${status} — Afterword`;
  }
}

// @ts-check

import { cancelJob, getJob, newKey, Refused, submitJob, urlsOf } from "./api.js";
import { copy } from "./clipboard.js";
import { pollCommand, submitCommand, watchCommand } from "./curl.js";
import { element } from "./dom.js";
import { follow, isTerminal } from "./follow.js";
import { JobView } from "./job-view.js";

/** @import { Accepted } from "./api.js" */
/** @import { Measured } from "./job-view.js" */

/**
 * The job on the page.
 * @typedef {{ urls: Accepted, view: JobView, unsubscribe: () => void }} Shown
 */

/** As EventSource itself waits, by the server's `retry`. */
const RESUBSCRIBE_MS = 2_000;
const FEEDBACK_MS = 2_000;
/** Answers that will not change by asking again. */
const FINAL_REFUSALS = new Set([401, 403, 404, 410]);

const form = element("form", HTMLFormElement);
const prompt = element("prompt", HTMLTextAreaElement);
const model = element("model", HTMLSelectElement);
const submitButton = element("submit", HTMLButtonElement);
const cancelButton = element("cancel", HTMLButtonElement);
const alertBox = element("alert", HTMLElement);
const announcer = element("announcer", HTMLElement);
const jsonPanel = element("json-panel", HTMLElement);
const json = element("job-json", HTMLElement);

/** @type {Shown | null} */
let shown = null;
let submitting = false;

const request = () => ({ prompt: prompt.value, model: model.value });

async function submit() {
  if (submitting) return;
  setSubmitting(true);
  hideAlert();
  const clickedAt = performance.now();
  try {
    const accepted = await submitJob(request(), newKey());
    open(accepted, { clickedAt, acceptedMs: performance.now() - clickedAt });
    location.hash = encodeURIComponent(accepted.job_id);
  } catch (error) {
    showAlert(error);
  } finally {
    setSubmitting(false);
  }
}

/**
 * Not `disabled`: that would take the focus from whoever pressed the button.
 *
 * @param {boolean} value
 */
function setSubmitting(value) {
  submitting = value;
  submitButton.ariaDisabled = String(value);
}

/**
 * Shows a job and subscribes to it from its first event. The job before goes on without us.
 *
 * @param {Accepted} urls
 * @param {Measured} measured
 */
function open(urls, measured) {
  close();
  shown = { urls, view: new JobView(urls.job_id, measured), unsubscribe: () => {} };
  subscribe(shown, 0);
  cancelButton.disabled = false;
  json.textContent = "";
  jsonPanel.hidden = false;
  showJobCommands(urls.job_id);
  shown.view.reveal();
}

function close() {
  shown?.unsubscribe();
  shown = null;
  cancelButton.disabled = true;
}

/**
 * @param {Shown} job
 * @param {number} after
 */
function subscribe(job, after) {
  job.unsubscribe = follow(job.urls.events_url, after, {
    onConnected: () => job.view.setReconnecting(false),
    onReconnecting: () => job.view.setReconnecting(true),
    onLost: (seen) => void resubscribe(job, seen),
    onEvent: (event) => {
      job.view.show(event);
      if (isTerminal(event.type)) void end(job);
    },
  });
}

/**
 * EventSource gives up for good on any answer but 200, so on 204 (the log was read to its end) and just as
 * well on a gateway's 502. The job itself says which it was.
 *
 * @param {Shown} job
 * @param {number} seen
 */
async function resubscribe(job, seen) {
  job.view.setReconnecting(true);
  try {
    const answer = await showJson(job);
    if (job !== shown) return;
    if (isTerminal(answer.status)) {
      job.view.settle(answer);
      return stop(job);
    }
  } catch (error) {
    if (job !== shown) return;
    if (error instanceof Refused && FINAL_REFUSALS.has(error.status)) {
      showAlert(error);
      return stop(job);
    }
  }
  const timer = setTimeout(() => subscribe(job, seen), RESUBSCRIBE_MS);
  job.unsubscribe = () => clearTimeout(timer);
}

/** @param {Shown} job */
async function end(job) {
  stop(job);
  try {
    await showJson(job);
  } catch (error) {
    if (job === shown) showAlert(error);
  }
}

/** @param {Shown} job */
function stop(job) {
  job.view.setReconnecting(false);
  // A disabled button would drop the focus to the top of the page.
  if (document.activeElement === cancelButton) submitButton.focus();
  cancelButton.disabled = true;
}

/** @param {Shown} job */
async function showJson(job) {
  const answer = await getJob(job.urls.poll_url);
  if (job === shown) json.textContent = JSON.stringify(answer, null, 2);
  return answer;
}

async function cancel() {
  if (shown === null) return;
  try {
    await cancelJob(shown.urls.cancel_url);
  } catch (error) {
    showAlert(error);
  }
}

async function refresh() {
  if (shown === null) return;
  hideAlert();
  try {
    await showJson(shown);
    announce("The job was fetched again.");
  } catch (error) {
    showAlert(error);
  }
}

/** A link to a job opens it, submitted here or not, finished or not. */
async function openFromHash() {
  const id = idInHash();
  if (id === shown?.urls.job_id) return;
  close();
  hideAlert();
  leaveJob();
  if (id === "") return;
  try {
    await getJob(urlsOf(id).poll_url);
    if (id === idInHash() && shown === null) open(urlsOf(id), null);
  } catch (error) {
    if (id === idInHash()) showAlert(error);
  }
}

function leaveJob() {
  JobView.clear();
  jsonPanel.hidden = true;
  for (const panel of document.querySelectorAll("[data-needs-job]"))
    panel.toggleAttribute("hidden", true);
}

function idInHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

function showSubmitCommand() {
  element("curl", HTMLElement).textContent = submitCommand(location.origin, request());
}

/** @param {string} id */
function showJobCommands(id) {
  element("curl-watch", HTMLElement).textContent = watchCommand(location.origin, id);
  element("curl-poll", HTMLElement).textContent = pollCommand(location.origin, id);
  for (const panel of document.querySelectorAll("[data-needs-job]"))
    panel.toggleAttribute("hidden", false);
}

/** @param {HTMLButtonElement} button */
async function copyCommand(button) {
  const source = element(button.dataset["copies"] ?? "", HTMLElement);
  const copied = await copy(source.textContent ?? "");
  button.textContent = copied ? "Copied" : "Press Ctrl+C";
  if (!copied) getSelection()?.selectAllChildren(source);
  announce(copied ? "Copied" : "Selected; copy it with the keyboard");
  setTimeout(() => (button.textContent = "Copy"), FEEDBACK_MS);
}

/** @param {unknown} error */
function showAlert(error) {
  const refused = error instanceof Refused;
  alertBox.textContent = refused ? error.message : "The server cannot be reached.";
  // The page holds no key: one in a browser's hands would be everybody's.
  if (refused && error.status === 401) {
    alertBox.textContent +=
      " This page sends no API key; it is meant for AUTH_MODE=none, as in npm start.";
  }
  alertBox.hidden = false;
}

function hideAlert() {
  alertBox.hidden = true;
  alertBox.textContent = "";
}

/** @param {string} text */
function announce(text) {
  announcer.textContent = text;
}

/** @param {KeyboardEvent} event */
function submitOnShortcut(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
form.addEventListener("input", showSubmitCommand);
prompt.addEventListener("keydown", submitOnShortcut);
cancelButton.addEventListener("click", () => void cancel());
element("refresh", HTMLButtonElement).addEventListener("click", () => void refresh());
for (const button of document.querySelectorAll("button")) {
  if (button.dataset["copies"] !== undefined)
    button.addEventListener("click", () => void copyCommand(button));
}
addEventListener("hashchange", () => void openFromHash());

showSubmitCommand();
void openFromHash();

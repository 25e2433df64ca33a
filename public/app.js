// @ts-check

import { copy } from "./clipboard.js";
import { pollCommand, submitCommand, watchCommand } from "./curl.js";
import { element } from "./dom.js";
import { JobView } from "./job-view.js";
import { AfterwordError, createClient } from "./lib/client.js";

/** @import { Measured } from "./job-view.js" */

/**
 * The job on the page.
 * @typedef {{ id: string, view: JobView, left: AbortController }} Shown
 */

const FEEDBACK_MS = 2_000;

const client = createClient({ baseUrl: "" });

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
    const { job_id } = await client.submit(request());
    open(job_id, { clickedAt, acceptedMs: performance.now() - clickedAt });
    location.hash = encodeURIComponent(job_id);
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
 * Shows a job and follows it from its first event. The job before goes on without us.
 *
 * @param {string} id
 * @param {Measured} measured
 */
function open(id, measured) {
  close();
  const job = { id, view: new JobView(id, measured), left: new AbortController() };
  shown = job;
  void follow(job);
  cancelButton.disabled = false;
  json.textContent = "";
  jsonPanel.hidden = false;
  showJobCommands(id);
  job.view.reveal();
}

function close() {
  shown?.left.abort();
  shown = null;
  cancelButton.disabled = true;
}

/** @param {Shown} job */
async function follow(job) {
  try {
    const events = client.stream(job.id, {
      signal: job.left.signal,
      onConnection: (isConnected) => job.view.setReconnecting(!isConnected),
    });
    for await (const event of events) {
      if (job !== shown) return;
      job.view.show(event);
    }
    stop(job);
    await showJson(job);
  } catch (error) {
    if (job !== shown) return;
    stop(job);
    showAlert(error);
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
  const answer = await client.get(job.id);
  if (job === shown) json.textContent = JSON.stringify(answer, null, 2);
}

async function cancel() {
  if (shown === null) return;
  try {
    await client.cancel(shown.id);
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
  if (id === shown?.id) return;
  close();
  hideAlert();
  leaveJob();
  if (id === "") return;
  try {
    await client.get(id);
    if (id === idInHash() && shown === null) open(id, null);
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
  const refusal = error instanceof AfterwordError && error.status !== null ? error : null;
  alertBox.textContent = refusal?.message ?? "The server cannot be reached.";
  // The page holds no key: one in a browser's hands would be everybody's.
  if (refusal?.status === 401) {
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

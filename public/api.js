// @ts-check

/**
 * @typedef {{ job_id: string, poll_url: string, events_url: string, cancel_url: string }} Accepted
 * @typedef {{ job_id: string, status: string, error?: string, result?: { content: string } }} Job
 */

/** An answer that has not come by then never will: a network may swallow a request without a word. */
const PATIENCE_MS = 10_000;

/** A refusal in the API's own words (application/problem+json). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * Sends the request again once if no answer came. The key makes that safe: whether or not the first one
 * arrived, there is one job.
 *
 * @param {{ prompt: string, model: string }} request
 * @param {string} idempotencyKey
 * @returns {Promise<Accepted>}
 */
export async function submitJob(request, idempotencyKey) {
  const send = () =>
    ask("/api/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
      body: JSON.stringify(request),
    });
  return read(await send().catch(send));
}

/**
 * @param {string} pollUrl
 * @returns {Promise<Job>}
 */
export async function getJob(pollUrl) {
  return read(await ask(pollUrl));
}

/**
 * @param {string} cancelUrl
 * @returns {Promise<Job>}
 */
export async function cancelJob(cancelUrl) {
  return read(await ask(cancelUrl, { method: "POST" }));
}

/**
 * @param {string} id
 * @returns {Accepted}
 */
export function urlsOf(id) {
  const pollUrl = `/api/jobs/${encodeURIComponent(id)}`;
  return {
    job_id: id,
    poll_url: pollUrl,
    events_url: `${pollUrl}/events`,
    cancel_url: `${pollUrl}/cancel`,
  };
}

/** A key nobody else has. randomUUID exists on https and localhost only, and the page may be opened over a LAN. */
export function newKey() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} url
 * @param {RequestInit} init
 */
function ask(url, init = {}) {
  return fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** @param {Response} response */
async function read(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw new Refused(response.status, body?.detail ?? `The server answered ${response.status}.`);
}

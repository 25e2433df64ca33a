// @ts-check

/**
 * @typedef {{ seq: number, at: string, job_id: string }} Envelope
 * @typedef {Envelope & (
 *   | { type: "queued" }
 *   | { type: "started", attempt: number, model: string, provider: string }
 *   | { type: "progress", progress: number, step: string }
 *   | { type: "delta", delta: string, attempt: number }
 *   | { type: "attempt_failed", attempt: number, error: string, error_code: string, retry_at: string | null }
 *   | { type: "completed" }
 *   | { type: "failed", error: string }
 *   | { type: "cancelled", reason: string }
 * )} JobEvent
 *
 * @typedef {object} Subscriber
 * @property {(event: JobEvent) => void} onEvent Each event once, in order.
 * @property {() => void} onConnected
 * @property {() => void} onReconnecting The browser is already trying again.
 * @property {(seen: number) => void} onLost The browser has given up, having seen events up to `seen`.
 */

const TERMINAL = new Set(["completed", "failed", "cancelled"]);

/** @param {string} status */
export function isTerminal(status) {
  return TERMINAL.has(status);
}

/**
 * Subscribes to a job's log behind `after` (0: from the first line) until its terminal event.
 *
 * @param {string} eventsUrl
 * @param {number} after
 * @param {Subscriber} subscriber
 * @returns {() => void} ends the subscription
 */
export function follow(eventsUrl, after, subscriber) {
  let seen = after;
  const source = new EventSource(withCursor(eventsUrl, after));
  source.addEventListener("message", ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "connected") {
      subscriber.onConnected();
      return;
    }
    // A reconnect may repeat lines; their numbers tell.
    if (event.seq <= seen) return;
    seen = event.seq;
    // Left open, EventSource would take the server's hanging up for a fault and come back.
    if (isTerminal(event.type)) source.close();
    subscriber.onEvent(event);
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) subscriber.onLost(seen);
    else subscriber.onReconnecting();
  });
  return () => source.close();
}

/**
 * @param {string} eventsUrl may carry a token already
 * @param {number} after
 */
function withCursor(eventsUrl, after) {
  if (after === 0) return eventsUrl;
  const url = new URL(eventsUrl, location.origin);
  url.searchParams.set("after", String(after));
  return url.href;
}

import { decodeBase64, encodeBase64 } from "hono/utils/encode";

import type { DeliveryOutcome } from "./domain/delivery.ts";
import { parseRetryAfter } from "./domain/retry.ts";

/** One event owed to one receiver. `id` has no dot, and like `body` is the same on every attempt. */
export type Delivery = {
  id: string;
  url: string;
  body: string;
  /** `whsec_<base64>`, the newest first: during a rotation the receiver may know either. */
  secrets: string[];
};

/** What a delivery takes from outside itself. */
export type DeliveryPorts = { fetch: typeof fetch; now: () => number };

const LIMIT_MS = 10_000;
const MAX_ANSWER_BYTES = 1_024;

/**
 * Makes one attempt to deliver an event to its webhook's receiver.
 *
 * Signed per Standard Webhooks over the exact bytes sent, with this attempt's time, so a captured request goes stale.
 * Never throws: a timeout or a refused connection is an outcome like any other, and the caller must store it before
 * it may decide on another attempt. Redirects count as failures; following one would send a signed body to a host
 * nobody named. Ten seconds in all, the answer's body included, of which a kilobyte is read.
 */
export async function attemptDelivery(
  delivery: Delivery,
  ports: DeliveryPorts,
): Promise<DeliveryOutcome> {
  const startedAt = ports.now();
  const lasted = () => ({ latencyMs: ports.now() - startedAt });
  // Not AbortSignal.timeout: its timer goes on after the answer, and keeps an object from its sleep.
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), LIMIT_MS);
  try {
    const headers = await signedHeaders(delivery, startedAt);
    const { url, body } = delivery;
    const { signal } = limit;
    const ask = { method: "POST", headers, body, redirect: "manual", signal } as const;
    const response = await ports.fetch(url, ask);
    const answer = await beginningOf(response.body);
    return { ...classify(response, ports.now()), answer, ...lasted() };
  } catch {
    const { aborted } = limit.signal;
    const error = aborted ? `No answer within ${LIMIT_MS / 1_000} s` : "Could not be reached";
    const unanswered = { status: null, error, answer: "", retryAfterMs: null };
    return { type: "failed", ...unanswered, ...lasted() };
  } finally {
    clearTimeout(timer);
  }
}

/** Source: standard-webhooks, spec/standard-webhooks.md. The two of ours are for receivers that know only those. */
async function signedHeaders(delivery: Delivery, now: number): Promise<Headers> {
  const { id, body, secrets } = delivery;
  const timestamp = Math.floor(now / 1_000);
  const signed = secrets.map(async (secret) => {
    const key = decodeBase64(secret.replace(/^whsec_/, ""));
    return `v1,${encodeBase64(await hmac(key, `${id}.${timestamp}.${body}`))}`;
  });
  const signatures = await Promise.all(signed);
  const headers = new Headers({
    "content-type": "application/json",
    "user-agent": "Afterword",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
    "x-webhook-timestamp": String(now),
  });
  const [newest] = secrets;
  if (newest !== undefined) {
    // Such a receiver takes its secret as text, prefix and all.
    const digest = await hmac(new TextEncoder().encode(newest), body);
    headers.set("x-webhook-signature", hex(digest));
  }
  return headers;
}

async function hmac(secret: Uint8Array, text: string): Promise<ArrayBuffer> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(secret), algorithm, false, [
    "sign",
  ]);
  return crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function classify(
  { status, headers }: Response,
  now: number,
): Pick<DeliveryOutcome, "type" | "status" | "error" | "retryAfterMs"> {
  if (status >= 200 && status < 300) {
    return { type: "delivered", status, error: null, retryAfterMs: null };
  }
  const error = `HTTP ${status}`;
  if (status === 410) return { type: "gone", status, error, retryAfterMs: null };
  const throttled = status === 429 || status === 503;
  const retryAfterMs = throttled ? parseRetryAfter(headers.get("retry-after"), now) : null;
  return { type: "failed", status, error, retryAfterMs };
}

/** Reads no further than what is kept: an answer may be endless. */
async function beginningOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    const kept = chunk.subarray(0, MAX_ANSWER_BYTES - bytes);
    text += decoder.decode(kept, { stream: true });
    bytes += kept.byteLength;
    // Leaving the loop cancels the rest.
    if (bytes >= MAX_ANSWER_BYTES) break;
  }
  return text;
}

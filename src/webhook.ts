import { decodeBase64, encodeBase64 } from "hono/utils/encode";

import { withoutHeaderValues } from "./domain/callback-headers.ts";
import type { DeliveryOutcome } from "./domain/delivery.ts";
import { parseRetryAfter } from "./domain/retry.ts";

/** One event owed to one receiver. `id` has no dot, and like `body` is the same on every attempt. */
export type Delivery = {
  id: string;
  url: string;
  body: string;
  /** What the caller wants sent besides (domain/callback-headers.ts). None can take the place of one of ours. */
  headers: Readonly<Record<string, string>>;
  /** `whsec_<base64>`: during a rotation the receiver may know either. Never none, so nothing goes out unsigned. */
  secrets: readonly [newest: string, ...older: string[]];
};

/** What a delivery takes from outside itself. */
export type DeliveryPorts = {
  fetch: typeof fetch;
  now: () => number;
  /** What an attempt may take in all, the answer's body included. */
  limitMs: number;
};

const MAX_ANSWER_BYTES = 1_024;

/**
 * Makes one attempt to deliver an event to its webhook's receiver.
 *
 * Signed per Standard Webhooks over the exact bytes sent, with this attempt's time, so a captured request goes stale.
 * Never throws: a timeout or a refused connection is an outcome like any other, and the caller must store it before
 * it may decide on another attempt. Redirects count as failures; following one would send a signed body to a host
 * nobody named. No more of the answer is read than is kept. A success counts only with its body in time; what a
 * refusal says (410, Retry-After) stands without.
 */
export async function attemptDelivery(
  delivery: Delivery,
  // Taken apart, since the platform's fetch works as nobody's method only.
  { fetch, now, limitMs }: DeliveryPorts,
): Promise<DeliveryOutcome> {
  const startedAt = now();
  // A clock may be put back.
  const lasted = () => ({ latencyMs: Math.max(0, now() - startedAt) });
  // Not AbortSignal.timeout: its timer goes on after the answer, and keeps an object from its sleep.
  const limit = new AbortController();
  const { signal } = limit;
  const inTime = `within ${limitMs / 1_000} s`;
  const timer = setTimeout(() => limit.abort(), limitMs);
  try {
    const headers = await headersOf(delivery, startedAt);
    const { url, body } = delivery;
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal,
    });
    const told = classify(response, now());
    const { beginning, complete } = await beginningOf(response.body);
    const answer = withoutHeaderValues(beginning, delivery.headers);
    if (complete || told.type !== "delivered") return { ...told, answer, ...lasted() };
    const error = signal.aborted ? `No end of the answer ${inTime}` : "The answer broke off";
    return { ...told, type: "failed", error, answer, ...lasted() };
  } catch {
    const error = signal.aborted ? `No answer ${inTime}` : "Could not be reached";
    const unanswered = { status: null, error, answer: "", retryAfterMs: null };
    return { type: "failed", ...unanswered, ...lasted() };
  } finally {
    clearTimeout(timer);
  }
}

/** Ours are set last, over whatever the caller's are. */
async function headersOf(delivery: Delivery, now: number): Promise<Headers> {
  const headers = new Headers(delivery.headers);
  for (const [name, value] of Object.entries(await ownHeaders(delivery, now))) {
    headers.set(name, value);
  }
  return headers;
}

/** Source: standard-webhooks, spec/standard-webhooks.md. The two of ours are for receivers that know only those. */
async function ownHeaders(delivery: Delivery, now: number): Promise<Record<string, string>> {
  const { id, body, secrets } = delivery;
  const timestamp = Math.floor(now / 1_000);
  const signed = secrets.map(async (secret) => {
    const key = decodeBase64(secret.replace(/^whsec_/, ""));
    return `v1,${encodeBase64(await hmac(key, `${id}.${timestamp}.${body}`))}`;
  });
  const signatures = await Promise.all(signed);
  // Such a receiver takes its secret as text, prefix and all.
  const digest = await hmac(new TextEncoder().encode(secrets[0]), body);
  return {
    "content-type": "application/json",
    "user-agent": "Afterword",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
    "x-webhook-timestamp": String(now),
    "x-webhook-signature": hex(digest),
  };
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

/** Reads no further than what is kept: an answer may be endless. Not `complete` where it broke before that. */
async function beginningOf(
  body: ReadableStream<Uint8Array> | null,
): Promise<{ beginning: string; complete: boolean }> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      const kept = chunk.subarray(0, MAX_ANSWER_BYTES - bytes);
      text += decoder.decode(kept, { stream: true });
      bytes += kept.byteLength;
      // Leaving the loop cancels the rest.
      if (bytes >= MAX_ANSWER_BYTES) break;
    }
    return { beginning: harmless(text), complete: true };
  } catch {
    return { beginning: harmless(text), complete: false };
  }
}

/** A stranger's text on one line, without what commands terminals or turns its reading round. Never more bytes than it was. */
function harmless(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, " ").replaceAll("\ufffd", "?");
}

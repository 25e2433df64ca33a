import type { WebhookEvent } from "./webhook-event.ts";

export type { Batch, ErrorCode, Job, JobResult, JobStatus, ToolCall, Usage } from "./api-types.ts";
export type * from "./webhook-event.ts";

/** The body exactly as it came: text or bytes, never an object that was parsed and written out again. */
export type RawBody = string | Uint8Array | ArrayBuffer;

/** A `Headers`, the `headers` of a Node request, or any pairs; the case of names does not matter. */
export type WebhookHeaders =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export type VerifyOptions = {
  /** How far the delivery's time may be from ours, in seconds, either way. Default 300, as the spec advises. */
  toleranceSeconds?: number;
  /** Our time in milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
};

/**
 * Why a delivery was refused.
 *
 * - `missing_header`: `webhook-id`, `webhook-timestamp` or `webhook-signature` is not there
 * - `malformed_header`: one of them is not of the form the spec gives it, or came twice
 * - `too_old`, `too_new`: its time is outside the tolerance: a replay, or one of the clocks is wrong
 * - `no_match`: no signature is by any of the secrets: forged, changed on its way, parsed before, or the wrong secret
 * - `bad_body`: not the raw body; or genuine, but not an event
 * - `bad_secret`: our own fault: not `whsec_` and the base64 of 24 to 64 bytes
 */
export type WebhookVerificationCode =
  | "missing_header"
  | "malformed_header"
  | "too_old"
  | "too_new"
  | "no_match"
  | "bad_body"
  | "bad_secret";

/** What `verifyWebhook` throws. The message is for people, and holds neither the secret nor anything of the delivery. */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";
  readonly code: WebhookVerificationCode;

  constructor(code: WebhookVerificationCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A rotation needs two signatures of 47 characters; this leaves room for other kinds, and bounds the work. */
const MAX_SIGNATURE_HEADER = 2_048;

/** 32 bytes in base64, which has several spellings for the last character: only the canonical one is a signature. */
const V1_SIGNATURE = /^v1,([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)$/;

const SECRET = /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/** Bytes of a secret, as the spec bounds them. */
const SECRET_BYTES = { least: 24, most: 64 };

/** No dot: it separates the id from the time in what is signed, so an id that held one could be read in two ways. */
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/;

const SECONDS = /^(?:0|[1-9]\d{0,11})$/;

type Pair = readonly [name: string, value: unknown];

const HMAC = { name: "HMAC", hash: "SHA-256" };

/**
 * Proves that a delivery is ours, whole and fresh, and resolves to the event it tells.
 *
 * A repeat of a delivery passes as the first did (its sender may not have had our answer): remember each `webhook-id`
 * and drop those already seen.
 *
 * `rawBody`: the exact bytes, or the text decoded from them. `secret`: `whsec_…` as it was shown, or several while they
 * are being replaced; a signature by any of them will do. Several signatures in the header are tried in turn, those of
 * other versions than `v1` passed over. Comparison takes the same time wherever signatures differ (WebCrypto's `verify`).
 *
 * Throws WebhookVerificationError, and nothing else whatever was sent. Needs `crypto.subtle`, which browsers have on
 * secure origins only.
 *
 * Source: Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function verifyWebhook(
  rawBody: RawBody,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<WebhookEvent> {
  const keys = keysOf(secret);
  const body = bytesOf(rawBody);
  const pairs = pairsIn(headers);
  const id = wellFormed("webhook-id", ID, pairs);
  const timestamp = wellFormed("webhook-timestamp", SECONDS, pairs);
  const signatures = signaturesIn(theOnly("webhook-signature", pairs));
  refuseUnlessTimely(Number(timestamp), options);
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  for (const key of keys) {
    if (await isSignedBy(key, signatures, signed)) return eventIn(body);
  }
  throw new WebhookVerificationError("no_match", "No signature is by this secret over this body");
}

function keysOf(secret: string | readonly string[]): Uint8Array<ArrayBuffer>[] {
  const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  if (secrets.length === 0) throw new WebhookVerificationError("bad_secret", "There is no secret");
  return secrets.map((each, at) => {
    const key = keyOf(each);
    if (key !== null) return key;
    const which = secrets.length === 1 ? "The secret" : `Secret ${at + 1} of ${secrets.length}`;
    const message = `${which} is not whsec_ and the base64 of 24 to 64 bytes`;
    throw new WebhookVerificationError("bad_secret", message);
  });
}

function keyOf(secret: unknown): Uint8Array<ArrayBuffer> | null {
  if (typeof secret !== "string") return null;
  const [, base64] = SECRET.exec(secret) ?? [];
  if (base64 === undefined) return null;
  const bytes = base64Bytes(base64);
  const { least, most } = SECRET_BYTES;
  return bytes.length >= least && bytes.length <= most ? bytes : null;
}

function bytesOf(rawBody: unknown): Uint8Array {
  if (typeof rawBody === "string") return new TextEncoder().encode(rawBody);
  // By its tag, since one made in another realm (a frame, a test runner's sandbox) is no instance of our own.
  const tag = Object.prototype.toString.call(rawBody);
  if (tag === "[object Uint8Array]") return rawBody as Uint8Array;
  if (tag === "[object ArrayBuffer]") return new Uint8Array(rawBody as ArrayBuffer);
  const message = "The body must be the raw text or bytes, from before any parser had it";
  throw new WebhookVerificationError("bad_body", message);
}

function wellFormed(name: string, form: RegExp, pairs: Pair[]): string {
  const value = theOnly(name, pairs);
  if (form.test(value)) return value;
  throw new WebhookVerificationError("malformed_header", `Header ${name} is malformed`);
}

/** The value of a header that must be there once: which of two the signature is about nobody can say. */
function theOnly(name: string, pairs: Pair[]): string {
  const named = pairs.flatMap(([key, value]) => (key.toLowerCase() === name ? value : []));
  const [value, ...others] = named.filter((each) => each !== undefined && each !== "");
  if (value === undefined) {
    throw new WebhookVerificationError("missing_header", `Header ${name} is missing`);
  }
  if (typeof value === "string" && others.length === 0) return value;
  throw new WebhookVerificationError("malformed_header", `Header ${name} came more than once`);
}

/** Read once: pairs may come from an iterator that has only one go. */
function pairsIn(headers: WebhookHeaders): Pair[] {
  if (typeof headers !== "object" || headers === null) return [];
  const pairs = Symbol.iterator in headers ? Array.from(headers) : Object.entries(headers);
  return pairs.filter((pair) => Array.isArray(pair) && typeof pair[0] === "string");
}

function signaturesIn(header: string): Uint8Array<ArrayBuffer>[] {
  if (header.length > MAX_SIGNATURE_HEADER) {
    throw new WebhookVerificationError("malformed_header", "Header webhook-signature is too long");
  }
  return header.split(" ").flatMap((entry) => {
    const [, signature] = V1_SIGNATURE.exec(entry) ?? [];
    return signature === undefined ? [] : [base64Bytes(signature)];
  });
}

function refuseUnlessTimely(sentAt: number, options: VerifyOptions): void {
  const { toleranceSeconds = 300, now = Date.now } = options;
  const age = Math.floor(now() / 1_000) - sentAt;
  // Put so that a tolerance or a clock that is no number refuses everything.
  if (!(age <= toleranceSeconds)) {
    throw new WebhookVerificationError("too_old", "The delivery's time is too long ago");
  }
  if (!(age >= -toleranceSeconds)) {
    throw new WebhookVerificationError("too_new", "The delivery's time is in the future");
  }
}

async function isSignedBy(
  bytes: Uint8Array<ArrayBuffer>,
  signatures: Uint8Array<ArrayBuffer>[],
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const key = await crypto.subtle.importKey("raw", bytes, HMAC, false, ["verify"]);
  for (const signature of signatures) {
    if (await crypto.subtle.verify("HMAC", key, signature, signed)) return true;
  }
  return false;
}

/** Read from the very bytes that were signed, not from a text they were made of. */
function eventIn(body: Uint8Array): WebhookEvent {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    const event: unknown = JSON.parse(text);
    if (isEvent(event)) return event;
  } catch {
    // Said below: to whoever asks it is the same fault.
  }
  throw new WebhookVerificationError("bad_body", "The body is signed, but is no event in JSON");
}

/** Its sender is proven, so its shape is believed once it is an event at all. */
function isEvent(value: unknown): value is WebhookEvent {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
  );
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

function base64Bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

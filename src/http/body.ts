import type { Context } from "hono";
import { createMiddleware } from "hono/factory";

import type { App } from "./context.ts";
import { ApiError } from "./errors.ts";
import { depthOf } from "../domain/json-depth.ts";

/** Parsers take such a key out without a word, and then two different bodies would be the same. */
const PROTO_KEY = /"__proto__"\s*:/;

/**
 * Reads a JSON body within its limits, before anything parses it: content type, bytes (counted while
 * reading, since Content-Length is only a hint) and depth. What follows finds the text already read.
 */
export const jsonBody = createMiddleware<App>(async (c, next) => {
  refuseOtherTypes(c);
  const { body } = c.req.raw;
  if (body === null) throw new ApiError("invalid-request", "The body is empty");
  keep(c, await readText(c, body));
  await next();
});

/** The same for a body that may be left out: an empty one is an empty object, whatever its type. */
export const optionalJsonBody = createMiddleware<App>(async (c, next) => {
  const { body } = c.req.raw;
  const text = body === null ? "" : await readText(c, body);
  if (text === "") nameTypeJson(c);
  refuseOtherTypes(c);
  keep(c, text === "" ? "{}" : text);
  await next();
});

/** What validates the body later asks for its type again. */
function nameTypeJson(c: Context<App>): void {
  const { url, method, headers } = c.req.raw;
  const named = new Headers(headers);
  named.set("content-type", "application/json");
  c.req.raw = new Request(url, { method, headers: named });
}

function refuseOtherTypes(c: Context<App>): void {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError("unsupported-media-type", "The content type must be application/json");
  }
}

function keep(c: Context<App>, text: string): void {
  const { MAX_JSON_DEPTH } = c.get("config");
  if (depthOf(text) > MAX_JSON_DEPTH) {
    throw new ApiError("invalid-request", `The body is nested deeper than ${MAX_JSON_DEPTH}`);
  }
  if (PROTO_KEY.test(text)) {
    throw new ApiError("invalid-request", "No key may be named __proto__");
  }
  // Typed as text, used as a promise: this is where Hono itself keeps a body that was read.
  Object.assign(c.req.bodyCache, { text: Promise.resolve(text) });
}

async function readText(c: Context<App>, body: ReadableStream<Uint8Array>): Promise<string> {
  const limit = c.get("config").MAX_BODY_BYTES;
  // One that says it is too large is believed, and not read at all.
  if (Number(c.req.header("content-length")) > limit) throw tooLarge(limit);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw tooLarge(limit);
    text += decode(decoder, chunk);
  }
  return text + decode(decoder);
}

function tooLarge(limit: number): ApiError {
  return new ApiError("payload-too-large", `The body is larger than ${limit} bytes`);
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    throw new ApiError("invalid-request", "The body is not UTF-8");
  }
}

import { createMiddleware } from "hono/factory";

import type { App } from "./context.ts";
import { ApiError } from "./errors.ts";
import { depthOf } from "./json-depth.ts";

/** Parsers take such a key out without a word, and then two different bodies would be the same. */
const PROTO_KEY = /"__proto__"\s*:/;

/**
 * Reads a JSON body within its limits, before anything parses it: content type, bytes (counted while
 * reading, since Content-Length is only a hint) and depth. What follows finds the text already read.
 */
export const jsonBody = createMiddleware<App>(async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError("unsupported-media-type", "The content type must be application/json");
  }
  const { MAX_BODY_BYTES, MAX_JSON_DEPTH } = c.get("config");
  const text = await readText(c.req.raw.body, MAX_BODY_BYTES);
  if (depthOf(text) > MAX_JSON_DEPTH) {
    throw new ApiError("invalid-request", `The body is nested deeper than ${MAX_JSON_DEPTH}`);
  }
  if (PROTO_KEY.test(text)) {
    throw new ApiError("invalid-request", "No key may be named __proto__");
  }
  // Typed as text, used as a promise: this is where Hono itself keeps a body that was read.
  Object.assign(c.req.bodyCache, { text: Promise.resolve(text) });
  await next();
});

async function readText(body: ReadableStream<Uint8Array> | null, limit: number): Promise<string> {
  if (body === null) throw new ApiError("invalid-request", "The body is empty");
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > limit) {
      throw new ApiError("payload-too-large", `The body is larger than ${limit} bytes`);
    }
    text += decode(decoder, chunk);
  }
  return text + decode(decoder);
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    throw new ApiError("invalid-request", "The body is not UTF-8");
  }
}

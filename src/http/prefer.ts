import { MAX_WAIT_SECONDS } from "./waiting.ts";

/** What nobody needs; a longer header is not read. */
const MAX_CHARS = 1_024;

/** One preference with its parameters: all up to a comma that is in no quotes. Source: RFC 7240, 2. */
const PREFERENCE = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;

/**
 * How many seconds a `Prefer` header asks to wait for the answer, at most as long as a request is held; null if it does
 * not ask. Only the first mention counts, and what cannot be read is as good as not said. Source: RFC 7240, 4.3.
 */
export function preferredWait(header = ""): number | null {
  if (header.length > MAX_CHARS) return null;
  const preferences = header.match(PREFERENCE) ?? [];
  const asked = preferences.find((preference) => /^\s*wait\s*(?:[=;]|$)/i.test(preference)) ?? "";
  const seconds = /^\s*wait\s*=\s*("?)(\d{1,9})\1\s*(?:;|$)/i.exec(asked)?.[2];
  return seconds === undefined ? null : Math.min(MAX_WAIT_SECONDS, Number(seconds));
}

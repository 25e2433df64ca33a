import type { Learned, LearnedLimit } from "./learned.ts";
import { parseRetryAfter } from "./retry.ts";

/** A header by its name in lower case; null if there is none. */
export type GetHeader = (name: string) => string | null;

type Said = { limit: string | null; remaining: string | null; reset: string | null };

/** No provider keeps us waiting for longer, whatever it sends. */
const LONGEST_MS = 86_400_000;

/** A longer value is nonsense. */
const MAX_CHARS = 64;

const COUNT = /^\d{1,15}$/;
const SECONDS = /^\d{1,15}(\.\d+)?$/;
const DURATION = /^(\d{1,15}(\.\d+)?(ms|h|m|s))+$/;
const DURATION_PARTS = /(?<count>[\d.]+)(?<unit>ms|h|m|s)/g;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/**
 * What an answer's headers say of the provider's limits; null if nothing. What cannot be read is as if it were not there.
 *
 * Sources: OpenAI and Groq, "Rate limits" (`x-ratelimit-…`, resets as `6m0s`); Anthropic, "Rate limits"
 * (`anthropic-ratelimit-…`, resets in RFC 3339); Cloudflare's API, which Workers AI is behind
 * (draft-ietf-httpapi-ratelimit-headers-08); RFC 9110 section 10.2.3 and, more exact, `retry-after-ms`.
 */
export function learnedFrom(get: GetHeader, now: number): Learned | null {
  const ofKind = (kind: "requests" | "tokens") =>
    limitOf(openai(get, kind), now) ?? limitOf(anthropic(get, kind), now);
  const learned: Learned = {
    requests: ofKind("requests") ?? limitOf(draft(get), now),
    tokens:
      ofKind("tokens") ??
      tighter(
        limitOf(anthropic(get, "input-tokens"), now),
        limitOf(anthropic(get, "output-tokens"), now),
      ),
    retryAfterMs: retryAfterOf(get, now),
  };
  const silent = Object.values(learned).every((part) => part === null);
  return silent ? null : learned;
}

function openai(get: GetHeader, kind: string): Said {
  return {
    limit: get(`x-ratelimit-limit-${kind}`),
    remaining: get(`x-ratelimit-remaining-${kind}`),
    reset: get(`x-ratelimit-reset-${kind}`),
  };
}

function anthropic(get: GetHeader, kind: string): Said {
  return {
    limit: get(`anthropic-ratelimit-${kind}-limit`),
    remaining: get(`anthropic-ratelimit-${kind}-remaining`),
    reset: get(`anthropic-ratelimit-${kind}-reset`),
  };
}

/** `RateLimit: "default";r=50;t=30` and `RateLimit-Policy: "default";q=100;w=60`. */
function draft(get: GetHeader): Said {
  const [current, policy] = [get("ratelimit"), get("ratelimit-policy")];
  return {
    limit: paramOf(policy, "q"),
    remaining: paramOf(current, "r"),
    reset: paramOf(current, "t"),
  };
}

/** A parameter of a list's only member; of several we cannot tell which applies to us, nor of one that counts other things. */
function paramOf(list: string | null, name: string): string | null {
  if (list === null || list.includes(",") || list.includes("qu=")) return null;
  const params = list.split(";").map((param) => param.trim());
  return params.find((param) => param.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

function limitOf(said: Said, now: number): LearnedLimit | null {
  // Azure says -1 and 0 where it has no limit to tell.
  const limit = countOf(said.limit) || null;
  const remaining = countOf(said.remaining);
  const resetMs = resetOf(said.reset, now);
  return limit === null && remaining === null && resetMs === null
    ? null
    : { limit, remaining, resetMs };
}

/** The one of which less is left. */
function tighter(a: LearnedLimit | null, b: LearnedLimit | null): LearnedLimit | null {
  if (a === null || b === null) return a ?? b;
  return shareLeft(a) <= shareLeft(b) ? a : b;
}

function shareLeft({ limit, remaining }: LearnedLimit): number {
  return limit === null || remaining === null ? 1 : remaining / limit;
}

/** Null where it asks for no wait, too: who refuses us and wants to be asked at once has not said for how long. */
function retryAfterOf(get: GetHeader, now: number): number | null {
  const exact = trimmed(get("retry-after-ms"));
  const ms = SECONDS.test(exact) ? Number(exact) : parseRetryAfter(get("retry-after"), now);
  return ms === null || ms === 0 ? null : bounded(ms);
}

function countOf(text: string | null): number | null {
  const digits = trimmed(text);
  return COUNT.test(digits) ? Number(digits) : null;
}

/** A span, seconds or an instant, whichever the provider sends, as milliseconds from `now`. */
function resetOf(text: string | null, now: number): number | null {
  const reset = trimmed(text);
  if (DURATION.test(reset)) return bounded(durationMs(reset));
  if (SECONDS.test(reset)) {
    const ms = Number(reset) * 1_000;
    // More would be an instant in some unit, and a wait until then a wait for ever.
    return ms > LONGEST_MS ? null : bounded(ms);
  }
  const instant = RFC_3339.test(reset) ? Date.parse(reset) : Number.NaN;
  return Number.isNaN(instant) ? null : bounded(instant - now);
}

function durationMs(duration: string): number {
  let ms = 0;
  for (const { groups = {} } of duration.matchAll(DURATION_PARTS)) {
    ms += Number(groups["count"]) * (UNIT_MS[groups["unit"] ?? ""] ?? 0);
  }
  return ms;
}

function bounded(ms: number): number {
  return Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms)));
}

function trimmed(text: string | null): string {
  return text === null || text.length > MAX_CHARS ? "" : text.trim();
}

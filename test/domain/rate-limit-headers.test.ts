import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Learned, LearnedLimit } from "../../src/domain/learned.ts";
import { learnedFrom } from "../../src/domain/rate-limit-headers.ts";
import { DAY, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

type Headers = Record<string, string>;

function learned(headers: Headers): Learned | null {
  return learnedFrom((name) => headers[name] ?? null, NOW);
}

function limit(limit: number | null, remaining: number | null, resetMs: number | null) {
  return { limit, remaining, resetMs } satisfies LearnedLimit;
}

const SILENT: Learned = { requests: null, tokens: null, retryAfterMs: null };

describe("what a provider says of its limits", () => {
  it.each<[string, Headers, Partial<Learned>]>([
    [
      "OpenAI",
      {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "160000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
      },
      { requests: limit(5_000, 4_999, 12), tokens: limit(160_000, 149_984, 6 * MINUTE) },
    ],
    [
      "Groq, which limits requests by the day",
      {
        "retry-after": "2",
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-remaining-requests": "14370",
        "x-ratelimit-reset-requests": "2m59.56s",
        "x-ratelimit-limit-tokens": "18000",
        "x-ratelimit-remaining-tokens": "17997",
        "x-ratelimit-reset-tokens": "7.66s",
      },
      {
        requests: limit(14_400, 14_370, 179_560),
        tokens: limit(18_000, 17_997, 7_660),
        retryAfterMs: 2_000,
      },
    ],
    [
      "Anthropic",
      {
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:00Z",
        "anthropic-ratelimit-tokens-limit": "96000",
        "anthropic-ratelimit-tokens-remaining": "90000",
        "anthropic-ratelimit-tokens-reset": "2026-11-22T12:00:07Z",
        "anthropic-ratelimit-output-tokens-limit": "16000",
        "anthropic-ratelimit-output-tokens-remaining": "1000",
      },
      { requests: limit(1_000, 999, 0), tokens: limit(96_000, 90_000, 7 * SECOND) },
    ],
    [
      "Anthropic where it tells input and output only: the one of which less is left",
      {
        "anthropic-ratelimit-input-tokens-limit": "80000",
        "anthropic-ratelimit-input-tokens-remaining": "79000",
        "anthropic-ratelimit-output-tokens-limit": "16000",
        "anthropic-ratelimit-output-tokens-remaining": "1000",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-22T12:01:00+00:00",
      },
      { tokens: limit(16_000, 1_000, MINUTE) },
    ],
    [
      "Anthropic where it tells one of them",
      { "anthropic-ratelimit-input-tokens-remaining": "79000" },
      { tokens: limit(null, 79_000, null) },
    ],
    [
      "Cloudflare",
      { ratelimit: '"default";r=50;t=30', "ratelimit-policy": '"default"; q=1200; w=300' },
      { requests: limit(1_200, 50, 30 * SECOND) },
    ],
    [
      "Azure, which has no limit of tokens to tell",
      {
        "x-ratelimit-limit-tokens": "-1",
        "x-ratelimit-remaining-tokens": "-1",
        "x-ratelimit-reset-tokens": "0",
        "x-ratelimit-limit-requests": "0",
      },
      { tokens: limit(null, null, 0) },
    ],
  ])("is read as %s sends it", (_, headers, expected) => {
    expect(learned(headers)).toEqual({ ...SILENT, ...expected });
  });

  it.each<[string, Headers]>([
    ["no header", {}],
    ["words", { "x-ratelimit-limit-requests": "many", "retry-after": "soon" }],
    ["negative numbers", { "x-ratelimit-remaining-tokens": "-5", "retry-after": "-5" }],
    ["a number too long", { "x-ratelimit-remaining-requests": "9".repeat(16) }],
    ["a number among others", { "x-ratelimit-remaining-requests": "5, 10" }],
    ["fractions of a request", { "x-ratelimit-remaining-requests": "1.5" }],
    ["several limits at once", { ratelimit: '"burst";r=1;t=1, "day";r=50;t=30' }],
    ["a limit of bytes", { "ratelimit-policy": '"size";q=65535;qu="content-bytes"' }],
    ["nothing it names", { ratelimit: "default", "ratelimit-policy": ";;" }],
  ])("is nothing where it sends %s", (_, headers) => {
    expect(learned(headers)).toBeNull();
  });

  it("is what can be read of it where some cannot", () => {
    const headers = { "x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "7" };
    expect(learned(headers)).toEqual({ ...SILENT, requests: limit(null, 7, null) });
  });
});

describe("a reset", () => {
  it.each([
    ["1s", SECOND],
    ["6m0s", 6 * MINUTE],
    ["250ms", 250],
    ["1h2m3s", HOUR + 2 * MINUTE + 3 * SECOND],
    ["0s", 0],
    [" 7.66s ", 7_660],
    ["0.2ms", 1],
    ["90", 90 * SECOND],
    ["1.5", 1_500],
    ["999h", DAY],
    ["2026-11-22T12:00:30Z", 30 * SECOND],
    ["2026-11-22T12:00:00.250Z", 250],
    ["2026-11-22T13:00:30+01:00", 30 * SECOND],
    ["2026-11-22T11:00:00Z", 0],
    ["2999-01-01T00:00:00Z", DAY],
  ])("of %j is in %i ms", (reset, ms) => {
    const headers = { "x-ratelimit-reset-requests": reset };
    expect(learned(headers)?.requests).toEqual(limit(null, null, ms));
  });

  it.each([
    "",
    "s",
    "-1s",
    "1s ago",
    "1d",
    "1 s",
    "1..5s",
    "soon",
    // Instants in seconds and in milliseconds: a span of that many seconds would be a wait for ever.
    "1795348830",
    "1795348830000",
    "2026-11-22",
    "2026-99-22T12:00:30Z",
    "1s".repeat(40),
  ])("of %j says nothing", (reset) => {
    expect(learned({ "x-ratelimit-reset-requests": reset })).toBeNull();
  });
});

describe("a wait that is asked for", () => {
  it.each<[string, Headers, number]>([
    ["seconds", { "retry-after": "20" }, 20 * SECOND],
    ["a date", { "retry-after": "Sun, 22 Nov 2026 12:00:30 GMT" }, 30 * SECOND],
    ["ages", { "retry-after": "9999999999" }, DAY],
    ["milliseconds", { "retry-after-ms": "250.4" }, 251],
    ["both, of which milliseconds are exact", { "retry-after-ms": "250", "retry-after": "1" }, 250],
    ["nonsense in milliseconds", { "retry-after-ms": "soon", "retry-after": "1" }, SECOND],
  ])("in %s is kept to, but a day at most", (_, headers, ms) => {
    expect(learned(headers)).toEqual({ ...SILENT, retryAfterMs: ms });
  });

  it.each<[string, Headers]>([
    ["a date long past", { "retry-after": "Sun, 22 Nov 2020 12:00:30 GMT" }],
    ["no seconds", { "retry-after": "0" }],
    ["no milliseconds", { "retry-after-ms": "0", "retry-after": "20" }],
  ])("until %s says nothing: a refusal is to close its provider for a while", (_, headers) => {
    expect(learned(headers)).toBeNull();
  });
});

describe("whatever a provider sends", () => {
  const kind = fc.constantFrom("requests", "tokens");
  const what = fc.constantFrom("limit", "remaining", "reset");
  const names = fc.oneof(
    fc.tuple(what, kind).map(([what, kind]) => `x-ratelimit-${what}-${kind}`),
    fc.tuple(what, kind).map(([what, kind]) => `anthropic-ratelimit-${kind}-${what}`),
    fc.constantFrom("retry-after", "retry-after-ms", "ratelimit"),
  );
  const number = fc.oneof(fc.double(), fc.bigInt(), fc.integer());
  const value = fc.oneof(
    fc.string(),
    number.map(String),
    fc.tuple(number, fc.constantFrom("s", "ms", "h", "m0s")).map((parts) => parts.join("")),
    fc.date().map((date) => (Number.isNaN(date.getTime()) ? "" : date.toISOString())),
    number.map((many) => `"default";r=${many};t=${many}`),
  );

  it("is told in whole numbers from zero, and no wait is longer than a day", () => {
    fc.assert(
      fc.property(fc.dictionary(names, value), (headers) => {
        const told = learned(headers);
        const limits = [told?.requests, told?.tokens].flatMap((limit) => limit ?? []);
        const waits = [told?.retryAfterMs, ...limits.map(({ resetMs }) => resetMs)];
        const counts = limits.flatMap(({ limit, remaining }) => [limit, remaining]);
        for (const figure of [...waits, ...counts]) {
          if (typeof figure !== "number") continue;
          expect(Number.isSafeInteger(figure)).toBe(true);
          expect(figure).toBeGreaterThanOrEqual(0);
        }
        for (const ms of waits) expect(ms ?? 0).toBeLessThanOrEqual(DAY);
        for (const { limit } of limits) expect(limit).not.toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

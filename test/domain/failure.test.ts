import { describe, expect, it } from "vitest";

import {
  classify,
  EXPIRED,
  STALLED,
  UNDELIVERABLE,
  type CallError,
  type Failure,
} from "../../src/domain/failure.ts";
import { ErrorCode } from "../../src/schema/job.ts";
import { SECOND } from "./fixtures.ts";

type Verdict = Pick<Failure, "code" | "remedy">;

const rateLimited: Verdict = { code: "rate_limited", remedy: "retry" };
const unavailable: Verdict = { code: "provider_unavailable", remedy: "retry" };
const refused: Verdict = { code: "provider_rejected", remedy: "next_model" };
const rejected: Verdict = { code: "provider_rejected", remedy: "give_up" };

/** What each status means that does not mean the request itself is at fault. */
const EXCEPTIONS: Record<number, Verdict> = {
  401: refused,
  402: refused,
  403: refused,
  404: refused,
  408: unavailable,
  409: unavailable,
  425: unavailable,
  429: rateLimited,
};

function verdictOn(status: number): Verdict {
  if (status >= 500) return unavailable;
  return EXCEPTIONS[status] ?? rejected;
}

function answered(status: number, over: object = {}): CallError {
  return { kind: "status", status, retryAfterMs: null, ...over };
}

describe("a provider's status", () => {
  const statuses = Array.from({ length: 200 }, (_, index) => 400 + index);

  it("means of every 4xx and 5xx what the table says", () => {
    for (const status of statuses) {
      expect(classify(answered(status)), String(status)).toMatchObject(verdictOn(status));
    }
  });

  it.each([
    ["a rate limit is worth another try", 429, rateLimited],
    ["an overloaded provider is worth another try", 529, unavailable],
    ["a timeout at the provider is worth another try", 408, unavailable],
    ["a conflict at the provider is worth another try", 409, unavailable],
    ["a refused key is for another model to mend", 401, refused],
    ["an unpaid bill is for another model to mend", 402, refused],
    ["a model we may not use is for another model to mend", 403, refused],
    ["an unknown model is for another model to mend", 404, refused],
    ["a request that is wrong is wrong for every model", 400, rejected],
    ["a request too large is wrong for every model", 413, rejected],
    ["a request that cannot be processed is wrong for every model", 422, rejected],
  ])("%s (%i)", (_, status, verdict) => {
    expect(classify(answered(status))).toMatchObject(verdict);
  });

  it("passes the provider's Retry-After on where another try is worth it, and only there", () => {
    for (const status of statuses) {
      const { retryAfterMs, remedy } = classify(answered(status, { retryAfterMs: 7 * SECOND }));
      expect(retryAfterMs, String(status)).toBe(remedy === "retry" ? 7 * SECOND : null);
    }
  });

  it("is named in the failure's message", () => {
    for (const status of statuses) {
      expect(classify(answered(status)).message).toContain(`(HTTP ${status})`);
    }
  });
});

describe("a call without an answer", () => {
  const kinds: [string, CallError, Verdict][] = [
    [
      "timed out before its headers",
      { kind: "timeout", waitedFor: "headers" },
      { code: "timeout", remedy: "retry" },
    ],
    [
      "timed out between two tokens",
      { kind: "timeout", waitedFor: "next token" },
      { code: "timeout", remedy: "retry" },
    ],
    [
      "timed out as a whole",
      { kind: "timeout", waitedFor: "whole answer" },
      { code: "timeout", remedy: "retry" },
    ],
    ["did not reach the provider", { kind: "unreachable" }, unavailable],
    ["was cut", { kind: "cut" }, unavailable],
    ["made no sense", { kind: "malformed" }, unavailable],
    ["ended at the job's budget", { kind: "budget" }, { code: "budget", remedy: "give_up" }],
    ["was empty", { kind: "empty" }, { code: "empty_response", remedy: "retry" }],
    [
      "was stopped by a content filter",
      { kind: "content_filter" },
      { code: "content_filter", remedy: "give_up" },
    ],
    [
      "could not be made for want of a provider",
      { kind: "not_configured" },
      { code: "provider_unavailable", remedy: "next_model" },
    ],
    [
      "found the account used up",
      { kind: "quota" },
      { code: "provider_rejected", remedy: "next_model" },
    ],
  ];

  it.each(kinds)("that %s is classified", (_, error, verdict) => {
    expect(classify(error)).toMatchObject({ ...verdict, retryAfterMs: null });
  });

  it("says which of the three clocks ran out", () => {
    const { message } = classify({ kind: "timeout", waitedFor: "next token" });
    expect(message).toBe("The provider timed out (next token)");
  });
});

it("every failure has a code the API knows and a message for people", () => {
  for (const { code, message } of [STALLED, EXPIRED, UNDELIVERABLE]) {
    expect(ErrorCode.options).toContain(code);
    expect(message).toMatch(/^The \w+/);
  }
});

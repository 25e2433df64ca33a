import { describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import type { JobSpec } from "../../src/domain/job.ts";
import { planJob, type Submission } from "../../src/submit/plan.ts";
import { CreateJob, type Tier } from "../../src/schema/job.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const SECOND = 1_000;
const DAY = 86_400 * SECOND;
const KEYS = parseConfig({ SIGNING_KEY, OPENAI_API_KEY: "key", ANTHROPIC_API_KEY: "key" });

function plan(
  request: Partial<CreateJob> = {},
  tier: Tier = "default",
  config = KEYS,
  over: Partial<Submission> = {},
) {
  const submission: Submission = {
    request: CreateJob.parse({ prompt: "Why is the sky blue?", ...request }),
    tenant: "acme",
    tier,
    id: "test-123",
    idempotencyKey: "test-123",
    fingerprint: "fingerprint",
    uid: "uid-1",
    now: NOW,
    ...over,
  };
  return planJob(submission, config);
}

const GPT = {
  name: "gpt-4o",
  model: "gpt-4o",
  provider: "openai",
  price: { input: 2.5, output: 10 },
};

function specOf(...given: Parameters<typeof plan>): JobSpec {
  const planned = plan(...given);
  if (!planned.ok) throw new Error(planned.refusals.map(({ detail }) => detail).join());
  return planned.spec;
}

function refusalsOf(...given: Parameters<typeof plan>) {
  const planned = plan(...given);
  return planned.ok ? [] : planned.refusals;
}

describe("a plain request", () => {
  it("is planned with the contract's defaults", () => {
    expect(specOf()).toEqual({
      id: "test-123",
      uid: "uid-1",
      replayOf: null,
      tenant: "acme",
      tier: "default",
      priorityLevel: 5,
      lane: "normal",
      idempotencyKey: "test-123",
      fingerprint: "fingerprint",
      routes: [GPT],
      maxAttempts: 3,
      maxStalls: 2,
      timeoutMs: 90 * SECOND,
      leaseMs: 60 * SECOND,
      backOff: { baseMs: 5 * SECOND, maxMs: 300 * SECOND },
      submittedAt: NOW,
      runAt: NOW,
      startBy: NOW + DAY,
      endBy: NOW + 2 * DAY,
      promptTokens: 11,
      answerTokens: 4096,
      retentionMs: DAY,
      failedRetentionMs: 7 * DAY,
      keyExpiresAt: NOW + DAY,
      user: null,
      metadata: {},
    });
  });

  it("is planned by the settings where they say otherwise", () => {
    const config = parseConfig({
      SIGNING_KEY,
      OPENAI_API_KEY: "key",
      DEFAULT_MODEL: "gpt-4o-mini",
      DEFAULT_MAX_ATTEMPTS: "5",
      LEASE_SECONDS: "10",
      RETRY_BASE_MS: "100",
      DEFAULT_TTL_SECONDS: "60",
      JOB_LIFE_SECONDS: "600",
      MAX_STALLS: "0",
      RETENTION_SECONDS: "1",
      FAILED_RETENTION_SECONDS: "2",
      IDEMPOTENCY_SECONDS: "3",
    });
    expect(specOf({}, "default", config)).toMatchObject({
      routes: [{ model: "gpt-4o-mini" }],
      maxAttempts: 5,
      leaseMs: 10 * SECOND,
      backOff: { baseMs: 100 },
      startBy: NOW + 60 * SECOND,
      endBy: NOW + 660 * SECOND,
      maxStalls: 0,
      retentionMs: SECOND,
      failedRetentionMs: 2 * SECOND,
      keyExpiresAt: NOW + 3 * SECOND,
    });
  });
});

describe("a profile", () => {
  it("interactive comes back sooner after a first failure", () => {
    expect(specOf({ profile: "interactive" })).toMatchObject({
      backOff: { baseMs: 2 * SECOND, maxMs: 300 * SECOND },
      lane: "normal",
      maxAttempts: 3,
    });
  });

  it("long_running has ten minutes, two attempts and a lane to itself", () => {
    expect(specOf({ profile: "long_running" }, "enterprise")).toMatchObject({
      lane: "long",
      timeoutMs: 600 * SECOND,
      maxAttempts: 2,
      backOff: { baseMs: 5 * SECOND },
    });
  });

  it("gives way to what the request says itself", () => {
    const request = { profile: "long_running", max_attempts: 7, timeout_ms: 1_000 } as const;
    expect(specOf(request)).toMatchObject({ maxAttempts: 7, timeoutMs: 1_000, lane: "long" });
  });
});

describe("times", () => {
  it("count from when the job is due: it has its whole time to start after a delay", () => {
    const spec = specOf({ delay_seconds: 60, ttl_seconds: 10 });
    expect(spec).toMatchObject({ runAt: NOW + 60 * SECOND, startBy: NOW + 70 * SECOND });
  });

  it("give a job that starts at the last moment its whole life to end in", () => {
    const spec = specOf({ delay_seconds: 60, ttl_seconds: 10 });
    expect(spec.endBy).toBe(NOW + 70 * SECOND + DAY);
  });

  it("of keeping a job are the same for a failed one once the request says how long", () => {
    const spec = specOf({ retention_seconds: 60 });
    expect(spec).toMatchObject({ retentionMs: 60 * SECOND, failedRetentionMs: 60 * SECOND });
  });
});

describe("priority", () => {
  it.each([
    ["enterprise", 1, "high"],
    ["pro", 3, "high"],
    ["default", 5, "normal"],
    ["free", 10, "low"],
  ] as const)("of tier %s is %i unless told, in lane %s", (tier, priorityLevel, lane) => {
    expect(specOf({}, tier)).toMatchObject({ tier, priorityLevel, lane });
  });

  it.each([
    ["pro", 3],
    ["pro", 10],
    ["default", 1],
    ["enterprise", 1],
    ["free", 10],
  ] as const)("in tier %s may be %i", (tier, priority) => {
    expect(specOf({ priority }, tier).priorityLevel).toBe(priority);
  });

  it.each([
    ["pro", 2, 3],
    ["free", 9, 10],
    ["free", 1, 10],
  ] as const)("in tier %s may not be %i, for its best is %i", (tier, priority, best) => {
    const detail = `priority may not be better than ${best} in tier ${tier}`;
    expect(refusalsOf({ priority }, tier)).toEqual([{ pointer: "/priority", detail }]);
  });
});

describe("a job submitted again", () => {
  it("names the one it repeats", () => {
    expect(specOf({}, "default", KEYS, { replayOf: "test-122" }).replayOf).toBe("test-122");
  });

  it("has the operator's priority, whatever the request and the tier say", () => {
    const over = { priorityLevel: 1 };
    expect(specOf({}, "free", KEYS, over)).toMatchObject({ priorityLevel: 1, lane: "high" });
    expect(specOf({ priority: 10 }, "free", KEYS, over).priorityLevel).toBe(1);
  });
});

describe("models", () => {
  it("are called in the order they are named in, each by its own provider", () => {
    const request = { model: "gpt-4o", fallback_models: ["claude-haiku-4-5", "openai/o3"] };
    expect(specOf(request).routes).toEqual([
      GPT,
      {
        name: "claude-haiku-4-5",
        model: "claude-haiku-4-5",
        provider: "anthropic",
        price: { input: 1, output: 5 },
      },
      { name: "openai/o3", model: "o3", provider: "openai", price: { input: 2, output: 8 } },
    ]);
  });

  it("that are unknown are refused, each where it stands, and the priority with them", () => {
    const request = { model: "gpt-0", fallback_models: ["gpt-4o", "gpt-1"], priority: 1 };
    const refusals = refusalsOf(request, "free");
    expect(refusals.map(({ pointer }) => pointer)).toEqual([
      "/model",
      "/fallback_models/1",
      "/priority",
    ]);
    expect(refusals[0]?.detail).toBe('model "gpt-0" is not on the list of models');
  });

  it("without their provider are refused with the setting that is missing", () => {
    const [refusal, ...others] = refusalsOf({}, "default", parseConfig({ SIGNING_KEY }));
    expect(refusal?.pointer).toBe("/model");
    expect(refusal?.detail).toContain("OPENAI_API_KEY");
    expect(others).toEqual([]);
  });

  it("without their provider are the simulator's in development", () => {
    const config = parseConfig({ AUTH_MODE: "none" });
    const routes = [{ ...GPT, provider: "simulator", price: { input: 0, output: 0 } }];
    expect(specOf({}, "default", config).routes).toEqual(routes);
  });
});

it("a caller's own words are kept as they are", () => {
  const own = { user: "ada", metadata: { page: "faq" } };
  expect(specOf(own)).toMatchObject(own);
});

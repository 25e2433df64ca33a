import { describe, expect, it } from "vitest";

import { countActive } from "../../src/domain/active.ts";
import { merge, NOTHING, tallyOf, type JobEnded } from "../../src/domain/stats.ts";
import { statsView, type Known } from "../../src/domain/stats-view.ts";
import { Stats } from "../../src/schema/stats.ts";
import { HOUR, MINUTE, NOW, providerState, SECOND } from "./fixtures.ts";

const ENDED: JobEnded = {
  type: "ended",
  job: "job-1",
  tenant: "acme",
  model: "gpt-4o",
  provider: "openai",
  status: "failed",
  errorCode: "timeout",
  ttftMs: 600,
  totalMs: 8_100,
  costUsd: null,
  wastedCostUsd: 0.25,
};

function viewOf(over: Partial<Known> = {}) {
  const known: Known = {
    windowSeconds: 3_600,
    since: NOW - HOUR,
    tallied: NOTHING,
    active: countActive([], NOW),
    missing: 0,
    queues: [],
    deadLetters: 0,
    providers: [],
    ...over,
  };
  return Stats.parse(statsView(known, NOW));
}

describe("the statistics", () => {
  it("of a service that has done nothing yet are zeros and unknowns", () => {
    expect(viewOf()).toMatchObject({
      window_seconds: 3_600,
      since: "2026-11-22T11:00:00.000Z",
      generated_at: "2026-11-22T12:00:00.000Z",
      active: { total: 0 },
      jobs: { started: 0, per_minute: { started: 0, failed: 0 } },
      errors: [],
      latency_ms: { count: 0, p50: null, p95: null, p99: null },
      cost: { total_usd: 0, by_tenant: [], by_model: [], by_provider: [] },
      dead_letters: { depth: 0 },
      missing_shards: 0,
    });
  });

  it("say what came of the jobs, how often a minute, why, and what it cost", () => {
    const rejected = { ...ENDED, errorCode: "provider_rejected" } as const;
    const stalled = { type: "retried", job: "job-1", errorCode: "stalled" } as const;
    const gone = { ...ENDED, errorCode: "stalled" } as const;
    const facts = [ENDED, ENDED, rejected, stalled, stalled, stalled, gone];
    const tallied = facts.map(tallyOf).reduce(merge);
    expect(viewOf({ tallied, since: NOW - 2 * MINUTE })).toMatchObject({
      jobs: { failed: 4, per_minute: { failed: 2 } },
      retries: 3,
      stalls: 4,
      errors: [
        { error_code: "stalled", retried: 3, failed: 1 },
        { error_code: "timeout", retried: 0, failed: 2 },
        { error_code: "provider_rejected", retried: 0, failed: 1 },
      ],
      ttft_ms: { count: 4 },
      cost: {
        total_usd: 1,
        wasted_usd: 1,
        by_tenant: [{ tenant: "acme", jobs: 4, failed: 4, total_usd: 1, wasted_usd: 1 }],
        by_model: [{ model: "gpt-4o", jobs: 4 }],
        by_provider: [{ provider: "openai", jobs: 4 }],
      },
    });
  });

  it("tell a queue that did not answer from one that is empty", () => {
    const waiting = { messages: 7, bytes: 700, oldestAt: NOW - 90 * SECOND };
    const { queues } = viewOf({
      queues: [
        { queue: "jobs-high", backlog: waiting },
        { queue: "jobs-low", backlog: { messages: 0, bytes: 0, oldestAt: null } },
        { queue: "jobs-long", backlog: null },
      ],
    });
    const told = queues.map((queue) => [queue.backlog, queue.oldest_message_age_seconds]);
    expect(told).toEqual([
      [7, 90],
      [0, null],
      [null, null],
    ]);
  });

  it("count beside each lane who is parked, at all providers together", () => {
    const names = ["jobs-high", "jobs-low", "webhooks"];
    const queues = names.map((queue) => ({ queue, backlog: null }));
    const parked = { high: 1, normal: 2, low: 30, long: 4 };
    const openai = { provider: "openai", state: providerState({ parked }) };
    const groq = { ...openai, provider: "groq" };
    const told = (...providers: Known["providers"]) =>
      viewOf({ queues, providers }).queues.map((queue) => queue.parked);
    expect(told()).toEqual([0, 0, 0]);
    expect(told(openai, groq)).toEqual([2, 60, 0]);
    expect(told(openai, { ...groq, state: null })).toEqual([null, null, 0]);
  });

  it("name a hundred tenants, the dearest, and put the others together", () => {
    const tallied = Array.from({ length: 150 }, (_, at) =>
      tallyOf({ ...ENDED, tenant: `t${at}`, wastedCostUsd: at }),
    ).reduce(merge);
    const { by_tenant, total_usd } = viewOf({ tallied }).cost;
    expect(by_tenant).toHaveLength(101);
    expect(by_tenant[0]).toMatchObject({ tenant: "t149" });
    expect(by_tenant.at(-1)).toMatchObject({ tenant: null, jobs: 50 });
    expect(by_tenant.reduce((sum, { total_usd }) => sum + total_usd, 0)).toBeCloseTo(total_usd);
  });
});

import { describe, expect, it } from "vitest";

import { addToEver, NEVER, type Ever } from "../../src/domain/ever.ts";
import { metricsOf, type Measured } from "../../src/domain/metrics.ts";
import { render } from "../../src/domain/openmetrics.ts";
import type { JobEnded, StatsFact } from "../../src/domain/stats.ts";
import { ErrorCode } from "../../src/schema/job.ts";
import { readOpenMetrics } from "../support/openmetrics.ts";
import { JOB_ENDED, NOW, providerState, SECOND } from "./fixtures.ts";

const ENDED: JobEnded = { ...JOB_ENDED, costUsd: 0.5, wastedCostUsd: 0.25 };

function ever(...facts: StatsFact[]): Ever {
  return facts.reduce<Ever>((sum, fact) => addToEver(sum, fact, NOW), NEVER);
}

const QUIET: Measured = {
  queues: [{ queue: "jobs-high", backlog: { messages: 0, bytes: 0, oldestAt: null } }],
  deadLetters: 0,
  providers: [],
  checks: { auth: "ok" },
  stats: { ever: NEVER, active: { high: 0, normal: 0, low: 0, long: 0 }, missing: 0 },
};

/** The series of a scrape by their names and labels, after all of it was read strictly. */
function scrape(over: Partial<Measured> & { ever?: Ever; missing?: number }) {
  const { ever = NEVER, missing = 0, ...rest } = over;
  const measured = { ...QUIET, stats: { ...QUIET.stats, ever, missing }, ...rest };
  const text = render(metricsOf(measured, NOW));
  const samples = [...readOpenMetrics(text).values()].flatMap((family) => family.samples);
  const series = samples.map(({ name, labels, value }): [string, number] => [
    [name, ...Object.values(labels)].join(" ").replace("afterword_", ""),
    value,
  ]);
  return { text, series: Object.fromEntries(series) };
}

describe("a scrape tells", () => {
  it.each<[string, Parameters<typeof scrape>[0], Record<string, number>]>([
    [
      "how the queues are",
      {
        queues: [
          {
            queue: "jobs-low",
            backlog: { messages: 9, bytes: 900, oldestAt: NOW - 30 * SECOND },
          },
          { queue: "webhooks", backlog: { messages: 0, bytes: 0, oldestAt: null } },
        ],
      },
      {
        "queue_messages jobs-low": 9,
        "queue_oldest_seconds jobs-low": 30,
        "queue_messages webhooks": 0,
        "queue_oldest_seconds webhooks": 0,
      },
    ],
    [
      "who waits at which provider, for how long, and whether it may be called",
      {
        providers: [
          {
            provider: "openai",
            state: providerState({
              parked: { high: 1, normal: 0, low: 40, long: 0 },
              oldestParkedAt: NOW - 90 * SECOND,
              paused: true,
            }),
          },
          { provider: "groq", state: providerState({ blockedUntil: NOW + 2_500 }) },
        ],
      },
      {
        "jobs_parked openai high": 1,
        "jobs_parked openai normal": 0,
        "jobs_parked openai low": 40,
        "jobs_parked groq low": 0,
        "jobs_parked_oldest_seconds openai": 90,
        "jobs_parked_oldest_seconds groq": 0,
        "provider_paused openai": 1,
        "provider_paused groq": 0,
        "provider_blocked_seconds openai": 0,
        "provider_blocked_seconds groq": 3,
      },
    ],
    ["how many dead letters are open", { deadLetters: 6 }, { dead_letters: 6 }],
    [
      "what /health finds wrong",
      { checks: { auth: "ok", dead_letters: "7 dead letters, more than 6" } },
      { "health_ok auth": 1, "health_ok dead_letters": 0 },
    ],
    [
      "which jobs run",
      { stats: { ...QUIET.stats, active: { high: 2, normal: 0, low: 0, long: 1 } } },
      { "jobs_active high": 2, "jobs_active normal": 0, "jobs_active long": 1 },
    ],
    [
      "how jobs began and ended, and why not",
      {
        ever: ever(
          { type: "started", job: "a", lane: "high", queueMs: 40, expiresAt: NOW },
          { type: "retried", job: "a", errorCode: "rate_limited" },
          { ...ENDED, status: "failed", errorCode: "timeout" },
          { ...ENDED, status: "cancelled" },
          { type: "undelivered", job: "a" },
          ENDED,
        ),
      },
      {
        jobs_started_total: 1,
        "jobs_total completed": 1,
        "jobs_total failed": 1,
        "jobs_total cancelled": 1,
        "job_failures_total timeout": 1,
        "job_failures_total rate_limited": 0,
        "attempt_retries_total rate_limited": 1,
        deliveries_undelivered_total: 1,
        stats_since_timestamp_seconds: NOW / 1_000,
      },
    ],
    [
      "how long they took, each figure within 5 %",
      {
        ever: ever({ type: "started", job: "a", lane: "high", queueMs: 0, expiresAt: NOW }, ENDED, {
          ...ENDED,
          ttftMs: 7_200_000,
          totalMs: 7_200_000,
        }),
      },
      {
        "job_queue_seconds_bucket 0.05": 1,
        job_queue_seconds_sum: 0,
        "time_to_first_token_seconds_bucket 0.5": 0,
        "time_to_first_token_seconds_bucket 1.0": 1,
        "time_to_first_token_seconds_bucket 3600.0": 1,
        "time_to_first_token_seconds_bucket +Inf": 2,
        time_to_first_token_seconds_count: 2,
        "job_duration_seconds_bucket 5.0": 0,
        "job_duration_seconds_bucket 10.0": 1,
        job_duration_seconds_count: 2,
      },
    ],
    [
      "what it took and cost, by model and provider",
      { ever: ever(ENDED, { ...ENDED, tenant: "globex" }) },
      {
        "tokens_total gpt-4o openai input": 18,
        "tokens_total gpt-4o openai output": 180,
        "cost_usd_total gpt-4o openai": 1.5,
        "wasted_cost_usd_total gpt-4o openai": 0.5,
      },
    ],
    [
      "what all models without a name of their own cost",
      {
        ever: ever(
          ...Array.from({ length: 52 }, (_, at) => ({ ...ENDED, model: `ollama/model-${at}` })),
        ),
      },
      { "cost_usd_total (other) (other)": 1.5, "tokens_total (other) (other) input": 18 },
    ],
  ])("%s", (_, over, expected) => {
    expect(scrape(over).series).toMatchObject(expected);
  });

  it("every error code from the beginning, so that the first failure is a rise", () => {
    const names = Object.keys(scrape({}).series);
    for (const code of ErrorCode.options) {
      expect(names).toContain(`job_failures_total ${code}`);
      expect(names).toContain(`attempt_retries_total ${code}`);
    }
  });

  it("a sum that is within 5 % of the exact one", () => {
    const { series } = scrape({ ever: ever(ENDED, { ...ENDED, totalMs: 900 }) });
    expect(Math.abs((series["job_duration_seconds_sum"] ?? 0) - 9)).toBeLessThanOrEqual(0.45);
  });

  it("no tenant and no job", () => {
    const { text } = scrape({ ever: ever({ ...ENDED, tenant: "canary", job: "canary" }) });
    expect(text).not.toContain("canary");
  });
});

describe("what is not known is left out", () => {
  it("of a queue and of the dead letters", () => {
    const { series } = scrape({
      queues: [{ queue: "jobs-high", backlog: null }],
      deadLetters: null,
    });
    expect(Object.keys(series).filter((name) => /queue_|dead_/.test(name))).toEqual(
      Object.keys(series).filter((name) => name.startsWith("job_queue_seconds")),
    );
  });

  it("of a provider, and of what an older version of it does not say", () => {
    const { oldestParkedAt: _, ...older } = providerState();
    const { series } = scrape({
      providers: [
        { provider: "openai", state: null },
        { provider: "groq", state: older },
      ],
    });
    const told = Object.keys(series).filter((name) => /parked|^provider_/.test(name));
    const lanes = ["high", "normal", "low", "long"].map((lane) => `jobs_parked groq ${lane}`);
    expect(told).toEqual([...lanes, "provider_paused groq", "provider_blocked_seconds groq"]);
  });

  it("of the counts: all of them if a part is missing, for a part would be a counter that falls", () => {
    const { series } = scrape({ ever: ever(ENDED), missing: 1 });
    expect(series).toMatchObject({ stats_shards_missing: 1, dead_letters: 0 });
    expect(Object.keys(series).filter((name) => /_total|_bucket|active/.test(name))).toEqual([]);
  });
});

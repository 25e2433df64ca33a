import { z } from "zod";

import { ErrorCode } from "./job.ts";

/** The window the counts are asked for, in seconds. */
export const StatsWindowSeconds = z.coerce.number().int().min(60).max(86_400).default(3_600);

const Count = z.int().min(0);

const Percentiles = z
  .object({
    count: Count,
    p50: Count.nullable(),
    p95: Count.nullable(),
    p99: Count.nullable(),
  })
  .meta({
    id: "Percentiles",
    description: "Milliseconds, within 5 %; null where nothing was measured.",
  });
export type Percentiles = z.infer<typeof Percentiles>;

const QueueStats = z
  .object({
    queue: z.string(),
    backlog: Count.nullable(),
    backlog_bytes: Count.nullable(),
    oldest_message_age_seconds: Count.nullable(),
    parked: Count.nullable().meta({
      description:
        "Jobs of this lane that wait for their turn at a provider, and have no message meanwhile. Null where a provider did not answer.",
    }),
  })
  .meta({
    id: "QueueStats",
    description:
      "Messages not settled yet, those of running attempts among them, as the queue itself tells it: approximately. The backlog is null where it did not answer; an age is also null where there is none.",
  });
export type QueueStats = z.infer<typeof QueueStats>;

const Spent = {
  jobs: Count,
  failed: Count,
  total_usd: z.number().min(0),
  wasted_usd: z
    .number()
    .min(0)
    .meta({ description: "Part of the total: calls that gave no answer." }),
};

const Name = z.string().nullable().meta({ description: "Null: all others together." });

/** What the operator sees of the whole service. */
export const Stats = z
  .object({
    window_seconds: z.int(),
    since: z.iso.datetime().meta({
      description:
        "Where the counts begin: the window in whole minutes, or from more than an hour in whole hours, so at or before its start.",
    }),
    generated_at: z.iso.datetime(),
    queues: z.array(QueueStats),
    active: z
      .object({
        total: Count,
        by_lane: z.object({ high: Count, normal: Count, low: Count, long: Count }),
      })
      .meta({ description: "Jobs with an attempt that has started and not ended." }),
    jobs: z.object({
      started: Count,
      completed: Count,
      failed: Count,
      cancelled: Count,
      per_minute: z.object({
        started: z.number(),
        completed: z.number(),
        failed: z.number(),
        cancelled: z.number(),
      }),
    }),
    retries: Count,
    stalls: Count,
    errors: z.array(z.object({ error_code: ErrorCode, retried: Count, failed: Count })).meta({
      description:
        "Attempts that failed and were followed by another, and jobs that failed for good; the most frequent first.",
    }),
    queue_ms: Percentiles,
    ttft_ms: Percentiles,
    latency_ms: Percentiles,
    cost: z.object({
      total_usd: z.number().min(0),
      wasted_usd: z.number().min(0),
      by_tenant: z.array(z.object({ tenant: Name, ...Spent })),
      by_model: z.array(z.object({ model: Name, ...Spent })),
      by_provider: z.array(z.object({ provider: Name, ...Spent })),
    }),
    dead_letters: z.object({
      depth: Count.nullable().meta({ description: "Null where their ledger did not answer." }),
    }),
    webhooks: z.object({
      undelivered: Count.meta({ description: "Deliveries that were given up." }),
    }),
    missing_shards: Count.meta({
      description: "Parts of the counts that could not be read. 0: the counts are whole.",
    }),
  })
  .meta({
    id: "Stats",
    example: {
      window_seconds: 3600,
      since: "2026-11-01T11:00:00.000Z",
      generated_at: "2026-11-01T12:00:00.000Z",
      queues: [
        {
          queue: "jobs-high",
          backlog: 3,
          backlog_bytes: 360,
          oldest_message_age_seconds: 4,
          parked: 12,
        },
        {
          queue: "jobs-dead-letter",
          backlog: 0,
          backlog_bytes: 0,
          oldest_message_age_seconds: null,
          parked: 0,
        },
      ],
      active: { total: 2, by_lane: { high: 2, normal: 0, low: 0, long: 0 } },
      jobs: {
        started: 600,
        completed: 590,
        failed: 6,
        cancelled: 2,
        per_minute: { started: 10, completed: 9.83, failed: 0.1, cancelled: 0.03 },
      },
      retries: 14,
      stalls: 2,
      errors: [
        { error_code: "provider_unavailable", retried: 13, failed: 5 },
        { error_code: "stalled", retried: 1, failed: 1 },
      ],
      queue_ms: { count: 600, p50: 41, p95: 230, p99: 1010 },
      ttft_ms: { count: 592, p50: 620, p95: 1420, p99: 2300 },
      latency_ms: { count: 590, p50: 8100, p95: 19400, p99: 31000 },
      cost: {
        total_usd: 0.66,
        wasted_usd: 0.01,
        by_tenant: [{ tenant: "acme", jobs: 598, failed: 6, total_usd: 0.66, wasted_usd: 0.01 }],
        by_model: [{ model: "gpt-4o", jobs: 598, failed: 6, total_usd: 0.66, wasted_usd: 0.01 }],
        by_provider: [
          { provider: "openai", jobs: 598, failed: 6, total_usd: 0.66, wasted_usd: 0.01 },
        ],
      },
      dead_letters: { depth: 6 },
      webhooks: { undelivered: 0 },
      missing_shards: 0,
    },
  });
export type Stats = z.infer<typeof Stats>;

import { ErrorCode } from "../schema/job.ts";
import type { ActiveByLane } from "./active.ts";
import type { Ever } from "./ever.ts";
import {
  ageSeconds,
  OK,
  type Backlog,
  type Checks,
  type QueueReport,
  type Readings,
} from "./health.ts";
import { countOf, countUpTo, sumOf, type Histogram } from "./histogram.ts";
import type { Family, Sample } from "./openmetrics.ts";
import { dollars } from "./money.ts";
import type { ProviderReport } from "./provider-view.ts";
import type { Tally } from "./stats.ts";

/** All that a scrape is made of. Null, and `missing`: who knows it did not say. */
export type Measured = Readings & {
  checks: Checks;
  stats: { ever: Ever; active: ActiveByLane; missing: number };
};

/** Stands for models and providers that are not told by name. No model is called so: a name has a letter first. */
const OTHER = "(other)";

/** Of histograms, in seconds. */
const BOUNDARIES = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];

/**
 * Every metric there is (docs/metrics.md). What is not known is left out, never told as zero. So are all counts when some
 * are missing: a sum that falls and rises again would pass for counters that began anew.
 */
export function metricsOf(measured: Measured, now: number): Family[] {
  const { queues, deadLetters, providers, checks, stats } = measured;
  return [
    ...queueMetrics(queues, now),
    ...providerMetrics(providers, now),
    gauge("afterword_dead_letters", "Dead letters that are open.", alone(deadLetters)),
    gauge(
      "afterword_health_ok",
      "Whether a check of /health says ok: 1, or 0.",
      labelled("check", checks, (check) => (check === OK ? 1 : 0)),
    ),
    gauge(
      "afterword_stats_shards_missing",
      "Parts of the counts that did not answer.",
      alone(stats.missing),
    ),
    ...(stats.missing > 0 ? [] : [...activeMetrics(stats.active), ...countMetrics(stats.ever)]),
  ];
}

function queueMetrics(queues: QueueReport[], now: number): Family[] {
  const told = Object.fromEntries(
    queues.flatMap(({ queue, backlog }) => (backlog === null ? [] : [[queue, backlog]])),
  ) as Record<string, Backlog>;
  return [
    gauge(
      "afterword_queue_messages",
      "Messages not settled yet, approximately.",
      labelled("queue", told, ({ messages }) => messages),
    ),
    gauge(
      "afterword_queue_oldest_seconds",
      "Age of the oldest message; 0: there is none.",
      labelled("queue", told, (backlog) => ageSeconds(backlog, now) ?? 0),
      "seconds",
    ),
  ];
}

function providerMetrics(reports: ProviderReport[], now: number): Family[] {
  const told = reports.flatMap(({ provider, state }) =>
    state === null ? [] : [{ labels: { provider }, state }],
  );
  const parked = told.flatMap(({ labels, state }) =>
    Object.entries(state.parked).map(([lane, value]) => ({ labels: { ...labels, lane }, value })),
  );
  const oldest = told.flatMap(({ labels, state: { oldestParkedAt } }) =>
    oldestParkedAt === undefined
      ? []
      : [{ labels, value: ageSeconds({ oldestAt: oldestParkedAt }, now) ?? 0 }],
  );
  const paused = told.map(({ labels, state }) => ({ labels, value: state.paused ? 1 : 0 }));
  const blocked = told.map(({ labels, state: { blockedUntil } }) => ({
    labels,
    value: Math.max(0, Math.ceil((blockedUntil - now) / 1_000)),
  }));
  return [
    gauge("afterword_jobs_parked", "Jobs that wait for their turn at a provider.", parked),
    gauge(
      "afterword_jobs_parked_oldest_seconds",
      "How long the oldest of them has been due; 0: there is none.",
      oldest,
      "seconds",
    ),
    gauge("afterword_provider_paused", "Whether an operator has paused it: 1, or 0.", paused),
    gauge(
      "afterword_provider_blocked_seconds",
      "How long it is not to be called yet, for it has limited us; 0: it may be.",
      blocked,
      "seconds",
    ),
  ];
}

function activeMetrics(active: ActiveByLane): Family[] {
  const help = "Jobs with an attempt that has started and not ended.";
  return [gauge("afterword_jobs_active", help, labelled("lane", active, itself))];
}

function countMetrics({ since, tallied }: Ever): Family[] {
  const { completed, failed, cancelled } = tallied;
  const ends = { completed, failed, cancelled };
  return [
    gauge(
      "afterword_stats_since_timestamp_seconds",
      "When the counters began to count.",
      alone(since === null ? null : since / 1_000),
      "seconds",
    ),
    counter(
      "afterword_jobs_started",
      "Jobs whose first attempt has started.",
      alone(tallied.started),
    ),
    counter("afterword_jobs", "Jobs that have ended, by how.", labelled("status", ends, itself)),
    counter(
      "afterword_job_failures",
      "Jobs that have failed for good, by why.",
      byReason(tallied.failedFor),
    ),
    counter(
      "afterword_attempt_retries",
      "Attempts that failed and are followed by another, by why.",
      byReason(tallied.retriedFor),
    ),
    counter(
      "afterword_deliveries_undelivered",
      "Deliveries to webhooks that were given up.",
      alone(tallied.undelivered),
    ),
    ...histogramMetrics(tallied),
    ...shareMetrics(tallied),
  ];
}

function histogramMetrics({ queueMs, ttftMs, latencyMs }: Ever["tallied"]): Family[] {
  return [
    histogram(
      "afterword_job_queue_seconds",
      "From when a job was due to the start of its first attempt.",
      queueMs,
    ),
    histogram(
      "afterword_time_to_first_token_seconds",
      "Of each job's last attempt, from its call to its first token.",
      ttftMs,
    ),
    histogram(
      "afterword_job_duration_seconds",
      "Of completed jobs, from when they were due to their end.",
      latencyMs,
    ),
  ];
}

function shareMetrics({ shares, rest }: Ever["tallied"]): Family[] {
  const others = rest.jobs === 0 ? [] : [{ model: OTHER, provider: OTHER, ...rest }];
  const named = [...shares.values(), ...others].map(({ model, provider, ...tally }) => ({
    labels: { model, provider },
    tally,
  }));
  const tokens = named.flatMap(({ labels, tally }) => [
    { labels: { ...labels, direction: "input" }, value: tally.promptTokens },
    { labels: { ...labels, direction: "output" }, value: tally.completionTokens },
  ]);
  const money = (nano: (tally: Tally) => number) =>
    named.map(({ labels, tally }) => ({ labels, value: dollars(nano(tally)) }));
  return [
    counter("afterword_tokens", "Tokens of all calls.", tokens, "tokens"),
    counter(
      "afterword_cost_usd",
      "Dollars for all calls.",
      money(({ costNano }) => costNano),
      "usd",
    ),
    counter(
      "afterword_wasted_cost_usd",
      "Part of the cost: calls that gave no answer.",
      money(({ wastedNano }) => wastedNano),
      "usd",
    ),
  ];
}

function gauge(name: string, help: string, samples: Sample[], unit?: string): Family {
  return { type: "gauge", name, help, samples, ...(unit === undefined ? {} : { unit }) };
}

function counter(name: string, help: string, samples: Sample[], unit?: string): Family {
  return { type: "counter", name, help, samples, ...(unit === undefined ? {} : { unit }) };
}

function histogram(name: string, help: string, seen: Histogram): Family {
  const buckets = BOUNDARIES.map((le) => ({ le, count: countUpTo(seen, le * 1_000) }));
  const sum = Math.round(sumOf(seen)) / 1_000;
  return { type: "histogram", name, unit: "seconds", help, buckets, sum, count: countOf(seen) };
}

/** Every code, from 0 on: a counter that first appears with its first failure has not risen for who watches it. */
function byReason(counts: ReadonlyMap<ErrorCode, number>): Sample[] {
  return ErrorCode.options.map((error_code) => ({
    labels: { error_code },
    value: counts.get(error_code) ?? 0,
  }));
}

function labelled<V>(
  label: string,
  values: Record<string, V>,
  valueOf: (value: V) => number,
): Sample[] {
  return Object.entries(values).map(([name, value]) => ({
    labels: { [label]: name },
    value: valueOf(value),
  }));
}

/** The one series of a metric without labels; none, if it is not known. */
function alone(value: number | null): Sample[] {
  return value === null ? [] : [{ labels: {}, value }];
}

function itself(count: number): number {
  return count;
}

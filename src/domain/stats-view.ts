import type { Percentiles, QueueStats, Stats } from "../schema/stats.ts";
import type { ActiveByLane } from "./active.ts";
import { ageSeconds, type QueueReport, type Readings } from "./health.ts";
import { countOf, percentile, type Histogram } from "./histogram.ts";
import { iso } from "./instant.ts";
import { LANES } from "./lane.ts";
import { dollars } from "./money.ts";
import type { ProviderReport } from "./provider-view.ts";
import { groupBy, totalOf, type Tallied, type Tally } from "./stats.ts";

/** All that is known of the service. Null: who knows it did not say. */
export type Known = Readings & {
  windowSeconds: number;
  /** Epoch milliseconds. */
  since: number;
  tallied: Tallied;
  active: ActiveByLane;
  missing: number;
};

/** Tenants, models and providers that are told by name. */
const MOST_NAMES = 100;

/** The service as its operator sees it. */
export function statsView(known: Known, now: number): Stats {
  const { tallied, active, since } = known;
  const { started, completed, failed, cancelled } = tallied;
  const jobs = { started, completed, failed, cancelled };
  const errors = errorsView(tallied);
  const stalled = errors.find(({ error_code }) => error_code === "stalled");
  return {
    window_seconds: known.windowSeconds,
    since: iso(since),
    generated_at: iso(now),
    queues: known.queues.map((report) => queueView(report, known.providers, now)),
    active: { total: active.high + active.normal + active.low + active.long, by_lane: active },
    jobs: { ...jobs, per_minute: rates(jobs, (now - since) / 60_000) },
    retries: errors.reduce((sum, { retried }) => sum + retried, 0),
    stalls: stalled === undefined ? 0 : stalled.retried + stalled.failed,
    errors,
    queue_ms: percentiles(tallied.queueMs),
    ttft_ms: percentiles(tallied.ttftMs),
    latency_ms: percentiles(tallied.latencyMs),
    cost: costs(tallied),
    dead_letters: { depth: known.deadLetters },
    webhooks: { undelivered: tallied.undelivered },
    missing_shards: known.missing,
  };
}

function errorsView({ retriedFor, failedFor }: Tallied): Stats["errors"] {
  const codes = new Set([...retriedFor.keys(), ...failedFor.keys()]);
  return [...codes]
    .map((error_code) => ({
      error_code,
      retried: retriedFor.get(error_code) ?? 0,
      failed: failedFor.get(error_code) ?? 0,
    }))
    .toSorted(
      (a, b) =>
        b.retried + b.failed - a.retried - a.failed || (a.error_code < b.error_code ? -1 : 1),
    );
}

function queueView(
  { queue, backlog }: QueueReport,
  providers: ProviderReport[],
  now: number,
): QueueStats {
  return {
    queue,
    backlog: backlog?.messages ?? null,
    backlog_bytes: backlog?.bytes ?? null,
    oldest_message_age_seconds: backlog === null ? null : ageSeconds(backlog, now),
    parked: parkedOf(queue, providers),
  };
}

/** Jobs that will come through this queue once it is their turn; null where a provider did not say how many. */
export function parkedOf(queue: string, providers: ProviderReport[]): number | null {
  const lane = LANES.find((lane) => queue === `jobs-${lane}`);
  if (lane === undefined) return 0;
  return providers.reduce<number | null>((sum, { state }) => {
    return sum === null || state === null ? null : sum + state.parked[lane];
  }, 0);
}

/** In hundredths: more would feign a precision that the window does not have. */
function rates<K extends string>(counts: Record<K, number>, minutes: number): Record<K, number> {
  const perMinute = (count: number) => Math.round((count / minutes) * 100) / 100;
  const told = Object.entries<number>(counts).map(([name, count]) => [name, perMinute(count)]);
  return Object.fromEntries(told) as Record<K, number>;
}

function percentiles(histogram: Histogram): Percentiles {
  return {
    count: countOf(histogram),
    p50: percentile(histogram, 0.5),
    p95: percentile(histogram, 0.95),
    p99: percentile(histogram, 0.99),
  };
}

function costs(tallied: Tallied): Stats["cost"] {
  const { total_usd, wasted_usd } = spent(totalOf(tallied));
  return {
    total_usd,
    wasted_usd,
    by_tenant: groupBy(tallied, "tenant", MOST_NAMES).map((group) =>
      Object.assign({ tenant: group.value }, spent(group)),
    ),
    by_model: groupBy(tallied, "model", MOST_NAMES).map((group) =>
      Object.assign({ model: group.value }, spent(group)),
    ),
    by_provider: groupBy(tallied, "provider", MOST_NAMES).map((group) =>
      Object.assign({ provider: group.value }, spent(group)),
    ),
  };
}

function spent({ jobs, failed, costNano, wastedNano }: Tally) {
  return { jobs, failed, total_usd: dollars(costNano), wasted_usd: dollars(wastedNano) };
}

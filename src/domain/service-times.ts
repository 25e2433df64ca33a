import { counted, NONE_COUNTED, weightAt, type Tally } from "./tally.ts";

/** What one model's jobs took, on average over those it counts. */
export type ServiceTime = Tally & { meanMs: number };

/** By model, the one longest unheard of first. Plain data: it may be stored or sent as it is. */
export type ServiceTimes = ReadonlyMap<string, ServiceTime>;

export const NO_SERVICE_TIMES: ServiceTimes = new Map();

/** What a job is taken to last while nothing was measured. */
export const UNKNOWN_SERVICE_MS = 10_000;

/** After so long a measurement counts half: speeds change by the hour, and a few answers are no trend. */
const HALF_LIFE_MS = 600_000;

/** Their names are the submitters' to choose. */
const MAX_MODELS = 200;

/** No attempt takes longer: a consumer lives for 15 minutes (platform limit). */
const LONGEST_MS = 900_000;

/**
 * With one more job of this model, which held its place for `ms`. The first few are averaged plainly; later the newest
 * weigh most (an exponentially weighted moving average over time).
 */
export function observed(
  times: ServiceTimes,
  model: string,
  ms: number,
  now: number,
): ServiceTimes {
  if (!Number.isFinite(ms)) return times;
  const { meanMs, ...before } = times.get(model) ?? { ...NONE_COUNTED, meanMs: 0 };
  const tally = counted(before, HALF_LIFE_MS, now);
  const tookMs = Math.min(LONGEST_MS, Math.max(0, ms));
  const next = new Map(times);
  next.delete(model);
  next.set(model, { ...tally, meanMs: meanMs + (tookMs - meanMs) / tally.weight });
  const [oldest] = next.keys();
  if (next.size > MAX_MODELS && oldest !== undefined) next.delete(oldest);
  return next;
}

/** What a job of this model takes, on average; null if none was measured. */
export function serviceMs(times: ServiceTimes, model: string): number | null {
  return times.get(model)?.meanMs ?? null;
}

/** What a job takes, on average over the models as they were used last; `UNKNOWN_SERVICE_MS` if none was measured. */
export function meanServiceMs(times: ServiceTimes): number {
  const newest = Math.max(...[...times.values()].map(({ at }) => at));
  let [jobs, all] = [0, 0];
  for (const time of times.values()) {
    const weight = weightAt(time, HALF_LIFE_MS, newest);
    jobs += weight;
    all += weight * time.meanMs;
  }
  return jobs > 0 ? all / jobs : UNKNOWN_SERVICE_MS;
}

import type { ErrorCode } from "../schema/job.ts";
import { mergeHistograms, NOTHING_SEEN, seen, type Histogram } from "./histogram.ts";
import type { Lane } from "./lane.ts";
import { nanoOf } from "./money.ts";

/** An attempt of a job has started. Spans are milliseconds, instants epoch milliseconds. */
export type JobStarted = {
  type: "started";
  /** The name of the job's object. */
  job: string;
  lane: Lane;
  /** From when the job was due to now; null if it is not its first attempt. */
  queueMs: number | null;
  /** When its lease and its time limit are over for certain, should nobody tell of its end. */
  expiresAt: number;
};

/** An attempt of a job has failed, and there will be another. */
type JobRetried = { type: "retried"; job: string; errorCode: ErrorCode };

/** A job has its last word. */
export type JobEnded = {
  type: "ended";
  /** The name of the job's object. */
  job: string;
  tenant: string;
  /** The model asked for, and who was last asked for an answer. */
  model: string;
  provider: string;
  status: "completed" | "failed" | "cancelled";
  /** Why it failed; null if it did not. */
  errorCode: ErrorCode | null;
  /** Of the last call to a model; null if it never spoke. */
  ttftMs: number | null;
  /** From when the job was due to its end. */
  totalMs: number;
  /** The call that gave the answer, null if there was none or its price is not known; and the calls that gave none. */
  costUsd: number | null;
  wastedCostUsd: number;
  /** Of all its calls, as reported or estimated; absent where an older version tells. */
  promptTokens?: number;
  completionTokens?: number;
};

/** A delivery to a job's webhook was given up. */
type DeliveryGivenUp = { type: "undelivered"; job: string };

export type StatsFact = JobStarted | JobRetried | JobEnded | DeliveryGivenUp;

/** What some jobs that ended came to. `costNano`: all that was paid, `wastedNano`: the part of it for nothing. */
export type Tally = {
  jobs: number;
  failed: number;
  costNano: number;
  wastedNano: number;
  promptTokens: number;
  completionTokens: number;
};

/** The tally of all jobs of one tenant with one model of one provider. */
export type Share = Tally & { tenant: string; model: string; provider: string };

/** All that is counted over a span of time. Made of facts, and added up, by the functions below only. */
export type Tallied = {
  started: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** Deliveries to webhooks that were given up. */
  undelivered: number;
  /** Attempts that were followed by another, and jobs that failed for good, by what they failed with. */
  retriedFor: Reasons;
  failedFor: Reasons;
  queueMs: Histogram;
  ttftMs: Histogram;
  /** Of completed jobs only: how soon something fails says nothing about how soon it answers. */
  latencyMs: Histogram;
  /** By whom and with what, the largest of them; the rest together. */
  shares: ReadonlyMap<string, Share>;
  rest: Tally;
};

type Reasons = ReadonlyMap<ErrorCode, number>;

export const NO_JOBS: Tally = {
  jobs: 0,
  failed: 0,
  costNano: 0,
  wastedNano: 0,
  promptTokens: 0,
  completionTokens: 0,
};

export const NOTHING: Tallied = {
  started: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  undelivered: 0,
  retriedFor: new Map(),
  failedFor: new Map(),
  queueMs: NOTHING_SEEN,
  ttftMs: NOTHING_SEEN,
  latencyMs: NOTHING_SEEN,
  shares: new Map(),
  rest: NO_JOBS,
};

/** What an older version has counted, which may lack what is counted since: it counted none of it. */
export function wholeOf(tallied: Partial<Tallied>): Tallied {
  const whole = { ...NOTHING, ...tallied };
  const shares = [...whole.shares].map(([key, share]): [string, Share] => [
    key,
    { ...NO_JOBS, ...share },
  ]);
  return { ...whole, shares: new Map(shares), rest: { ...NO_JOBS, ...whole.rest } };
}

/** What one fact adds. */
export function tallyOf(fact: StatsFact): Tallied {
  switch (fact.type) {
    case "started":
      return {
        ...NOTHING,
        started: fact.queueMs === null ? 0 : 1,
        queueMs: seen(fact.queueMs),
      };
    case "retried":
      return { ...NOTHING, retriedFor: new Map([[fact.errorCode, 1]]) };
    case "ended":
      return ended(fact);
    case "undelivered":
      return { ...NOTHING, undelivered: 1 };
  }
}

function ended(fact: JobEnded): Tallied {
  const { tenant, model, provider, status, errorCode } = fact;
  const failed = status === "failed" ? 1 : 0;
  const wastedNano = nanoOf(fact.wastedCostUsd);
  const costNano = nanoOf(fact.costUsd ?? 0) + wastedNano;
  const { promptTokens = 0, completionTokens = 0 } = fact;
  const tally = { jobs: 1, failed, costNano, wastedNano, promptTokens, completionTokens };
  const share = { tenant, model, provider, ...tally };
  return {
    ...NOTHING,
    completed: status === "completed" ? 1 : 0,
    failed,
    cancelled: status === "cancelled" ? 1 : 0,
    failedFor: errorCode === null ? NOTHING.failedFor : new Map([[errorCode, 1]]),
    ttftMs: seen(fact.ttftMs),
    latencyMs: seen(status === "completed" ? fact.totalMs : null),
    shares: sharesOf(share),
  };
}

/** Adds two counts. In whatever order many are added, the sum is the same. */
export function merge(a: Tallied, b: Tallied): Tallied {
  return {
    started: a.started + b.started,
    completed: a.completed + b.completed,
    failed: a.failed + b.failed,
    cancelled: a.cancelled + b.cancelled,
    undelivered: a.undelivered + b.undelivered,
    retriedFor: mergeMaps(a.retriedFor, b.retriedFor, (left, right) => left + right),
    failedFor: mergeMaps(a.failedFor, b.failedFor, (left, right) => left + right),
    queueMs: mergeHistograms(a.queueMs, b.queueMs),
    ttftMs: mergeHistograms(a.ttftMs, b.ttftMs),
    latencyMs: mergeHistograms(a.latencyMs, b.latencyMs),
    shares: mergeMaps(a.shares, b.shares, (left, right) => ({ ...left, ...add(left, right) })),
    rest: add(a.rest, b.rest),
  };
}

/** The same with at most `most` shares, the dearest, then the busiest; what the others came to goes to the rest. */
export function trim(tallied: Tallied, most: number): Tallied {
  if (tallied.shares.size <= most) return tallied;
  const ranked = [...tallied.shares].toSorted(
    ([a, x], [b, y]) => compareTallies(x, y) || (a < b ? -1 : 1),
  );
  const rest = ranked.slice(most).map(([, share]) => share);
  return {
    ...tallied,
    shares: new Map(ranked.slice(0, most)),
    rest: rest.reduce(add, tallied.rest),
  };
}

/** What one value of a share's field came to, all other fields alike; null stands for the rest. */
type Group = Tally & { value: string | null };

/** The shares by one of their fields, the `most` largest, and then the rest of them if there is any. */
export function groupBy(
  tallied: Tallied,
  field: "tenant" | "model" | "provider",
  most: number,
): Group[] {
  const groups = new Map<string, Tally>();
  for (const share of tallied.shares.values()) {
    groups.set(share[field], add(groups.get(share[field]) ?? NO_JOBS, share));
  }
  const ranked: Group[] = [...groups]
    .map(([value, tally]) => Object.assign({ value }, tally))
    .toSorted((a, b) => compareTallies(a, b) || (a.value < b.value ? -1 : 1));
  const rest = ranked.slice(most).reduce(add, tallied.rest);
  const told = ranked.slice(0, most);
  return rest.jobs === 0 ? told : [...told, { value: null, ...rest }];
}

/** All that all jobs came to. */
export function totalOf({ shares, rest }: Tallied): Tally {
  return [...shares.values()].reduce(add, rest);
}

export function add(a: Tally, b: Tally): Tally {
  return {
    jobs: a.jobs + b.jobs,
    failed: a.failed + b.failed,
    costNano: a.costNano + b.costNano,
    wastedNano: a.wastedNano + b.wastedNano,
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
  };
}

function compareTallies(a: Tally, b: Tally): number {
  return b.costNano - a.costNano || b.jobs - a.jobs;
}

/** One share, under a key that is unambiguous whatever the names hold. */
export function sharesOf(share: Share): ReadonlyMap<string, Share> {
  const { tenant, model, provider } = share;
  return new Map([[JSON.stringify([tenant, model, provider]), share]]);
}

function mergeMaps<K, V>(
  a: ReadonlyMap<K, V>,
  b: ReadonlyMap<K, V>,
  sum: (a: V, b: V) => V,
): ReadonlyMap<K, V> {
  const merged = new Map(a);
  for (const [key, value] of b) {
    const before = merged.get(key);
    merged.set(key, before === undefined ? value : sum(before, value));
  }
  return merged;
}

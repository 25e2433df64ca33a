import type { ProviderReport } from "./provider-view.ts";

/** What waits in a queue. `oldestAt`: when its oldest message was sent, epoch milliseconds; null if there is none. */
export type Backlog = { messages: number; bytes: number; oldestAt: number | null };

/** How a queue is; `backlog` null: it did not say. */
export type QueueReport = { queue: string; backlog: Backlog | null };

/** What is asked of others about how they are. `deadLetters`: how many are kept; null if their ledger did not say. */
export type Readings = {
  queues: QueueReport[];
  deadLetters: number | null;
  providers: ProviderReport[];
};

/** What a check says: `ok`, or in plain words what is wrong. Anybody may read it, so it names no tenant and no secret. */
export type Check = string;

export type Checks = Record<string, Check>;

export const OK: Check = "ok";
const UNREACHABLE: Check = "unreachable";

/**
 * Whether a queue moves. A message counts from when it was first sent until it is settled, so its age is the wait, the
 * attempt, and the waits between attempts; the limit must leave room for them.
 */
export function checkQueue({ backlog }: QueueReport, maxAgeSeconds: number, now: number): Check {
  if (backlog === null) return UNREACHABLE;
  const age = ageSeconds(backlog, now);
  if (age === null || age <= maxAgeSeconds) return OK;
  return `the oldest of ${backlog.messages} messages is ${age} s old, more than ${maxAgeSeconds} s`;
}

/** `depth`: dead letters kept; null if their ledger did not say. */
export function checkDeadLetters(depth: number | null, threshold: number): Check {
  if (depth === null) return UNREACHABLE;
  return depth > threshold ? `${depth} dead letters, more than ${threshold}` : OK;
}

/**
 * Whether a provider may be called and those who wait for their turn have it in time. They wait in no queue, so nothing else
 * shows them.
 */
export function checkProvider(
  { state }: ProviderReport,
  maxAgeSeconds: number,
  now: number,
): Check {
  if (state === null) return UNREACHABLE;
  const jobs = Object.values(state.parked).reduce((sum, count) => sum + count, 0);
  if (state.paused) return `paused, and ${jobs} jobs wait`;
  const age = ageSeconds({ oldestAt: state.oldestParkedAt ?? null }, now);
  if (age === null || age <= maxAgeSeconds) return OK;
  return `the oldest of ${jobs} parked jobs has waited for ${age} s, more than ${maxAgeSeconds} s`;
}

export function ageSeconds({ oldestAt }: Pick<Backlog, "oldestAt">, now: number): number | null {
  return oldestAt === null ? null : Math.max(0, Math.floor((now - oldestAt) / 1_000));
}

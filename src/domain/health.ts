/** What waits in a queue. `oldestAt`: when its oldest message was sent, epoch milliseconds; null if there is none. */
export type Backlog = { messages: number; bytes: number; oldestAt: number | null };

/** How a queue is; `backlog` null: it did not say. */
export type QueueReport = { queue: string; backlog: Backlog | null };

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

export function ageSeconds({ oldestAt }: Backlog, now: number): number | null {
  return oldestAt === null ? null : Math.max(0, Math.floor((now - oldestAt) / 1_000));
}

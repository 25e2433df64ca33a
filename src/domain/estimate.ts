/** What a job takes when nothing is known of it, and how many run side by side in a lane. */
const TYPICAL_JOB_SECONDS = 10;
const LANE_CONCURRENCY = 250;

/** Seconds until a job behind `backlog` others is likely to start, once it is due in `dueInMs`. */
export function estimatedWaitSeconds(backlog: number, dueInMs: number): number {
  const queue = Math.floor((backlog * TYPICAL_JOB_SECONDS) / LANE_CONCURRENCY);
  return secondsUntil(dueInMs, 0) + queue;
}

/** Seconds a poller should wait before it asks again: 1 for a young job, up to 10 for an old one. */
export function pollAfterSeconds(ageMs: number): number {
  return Math.min(10, Math.max(1, Math.floor(ageMs / 10_000)));
}

/** Whole seconds, so that whoever waits for them does not come too early. */
export function secondsUntil(instant: number, now: number): number {
  return Math.max(0, Math.ceil((instant - now) / 1_000));
}

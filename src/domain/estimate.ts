/** Seconds a poller should wait before it asks again: 1 for a young job, up to 10 for an old one. */
export function pollAfterSeconds(ageMs: number): number {
  return Math.min(10, Math.max(1, Math.floor(ageMs / 10_000)));
}

/** Whole seconds, so that whoever waits for them does not come too early. */
export function secondsUntil(instant: number, now: number): number {
  return Math.max(0, Math.ceil((instant - now) / 1_000));
}

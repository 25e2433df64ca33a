/** Rates are for a minute, and the minute slides: no minute whatever holds more than it may. */
export const RATE_WINDOW_MS = 60_000;

/** One that counts: whose, and when (epoch milliseconds). */
export type Counted = { uid: string; at: number };

/** `left`: how many more may come now. `resetMs`: until there is room for one more than that; null: there never is. */
export type Rate = { limit: number; left: number; resetMs: number | null };

/** Those that still count, oldest first as they came. */
export function stillCounted(counted: Counted[], now: number): Counted[] {
  const first = counted.findIndex(({ at }) => at > now - RATE_WINDOW_MS);
  return first === -1 ? [] : counted.slice(first);
}

export function rateAt(counted: Counted[], limit: number, now: number): Rate {
  const [oldest, ...younger] = stillCounted(counted, now);
  if (oldest === undefined || limit === 0) return { limit, left: limit, resetMs: null };
  const used = 1 + younger.length;
  // Where the limit was lowered meanwhile, more than one has to pass before there is room.
  const next = used <= limit ? oldest : (younger[used - limit - 1] ?? oldest);
  return {
    limit,
    left: Math.max(0, limit - used),
    resetMs: Math.max(1, next.at + RATE_WINDOW_MS - now),
  };
}

/** Back-off between attempts: doubles from `baseMs`, never above `maxMs`. */
export type BackOff = { baseMs: number; maxMs: number };

/** Spread of a delay around its nominal value, so jobs that failed together do not come back together. */
const SPREAD = 0.2;

/**
 * Milliseconds to wait after the given number of failed calls (from 1).
 *
 * A provider's own Retry-After is a floor, but no provider may park a job longer than our longest back-off.
 * `jitter` is a random number in [0, 1).
 */
export function retryDelayMs(
  failures: number,
  backOff: BackOff,
  retryAfterMs: number | null,
  jitter: number,
): number {
  const nominal = Math.min(backOff.maxMs, backOff.baseMs * 2 ** (failures - 1));
  const spread = nominal * (1 - SPREAD + 2 * SPREAD * jitter);
  return Math.round(Math.min(backOff.maxMs, Math.max(spread, retryAfterMs ?? 0)));
}

/** First and longest wait before a queue message that may be lost is sent again, in milliseconds. */
const FIRST_RING_MS = 30_000;
const LAST_RING_MS = 900_000;

/**
 * Milliseconds until the doorbell rings again after it rang `rings` times.
 * Doubles, because behind a long backlog the message is merely late and every extra one is paid for.
 */
export function ringDelayMs(rings: number): number {
  return Math.min(LAST_RING_MS, FIRST_RING_MS * 2 ** (rings - 1));
}

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * A Retry-After header in milliseconds from `now`; null if absent or nonsense.
 * Source: RFC 9110 section 10.2.3 (delay-seconds or HTTP-date). Negative waits are none.
 */
export function parseRetryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d{1,10}(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1_000);
  const date = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** What came of one attempt at a delivery; `latencyMs` and what is known of the answer. */
export type DeliveryOutcome = {
  /** `gone`: the receiver wants no more of it (410). */
  type: "delivered" | "failed" | "gone";
  /** Null where there was no answer. */
  status: number | null;
  /** For people: why it failed. */
  error: string | null;
  /** The first kilobyte of the answer, at most. */
  answer: string;
  latencyMs: number;
  /** The receiver's own wait (429, 503). */
  retryAfterMs: number | null;
};

/** Attempts that are made within seconds, the first included; behind them the waits are minutes and hours. */
export const QUICK_ATTEMPTS = 4;

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The longest of their waits, spread and all. */
export const LONGEST_QUICK_WAIT_MS = 5 * SECOND_MS;

/** What is waited after each failed attempt, in milliseconds; after the last nothing more is tried. Three days in all. */
const WAITS_MS = [
  SECOND_MS,
  2 * SECOND_MS,
  4 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

/** No receiver may put a delivery off for longer than the longest wait of our own. */
const LONGEST_WAIT_MS = 24 * HOUR_MS;

/** Spread of a wait around its nominal value, so that deliveries that failed together do not come back together. */
const SPREAD = 0.2;

/**
 * When a delivery is tried again, in milliseconds from now; null: never.
 *
 * `attempts`: how many were made, this one included. A receiver's Retry-After is a floor, spread upwards. `jitter` is a
 * random number in [0, 1).
 */
export function nextAttemptMs(
  attempts: number,
  { type, retryAfterMs }: Pick<DeliveryOutcome, "type" | "retryAfterMs">,
  jitter: number,
): number | null {
  const nominal = WAITS_MS[attempts - 1];
  if (type !== "failed" || nominal === undefined) return null;
  const floor = Math.min(LONGEST_WAIT_MS, retryAfterMs ?? 0);
  const asked = Math.min(LONGEST_WAIT_MS, floor * (1 + SPREAD * jitter));
  return Math.round(Math.max(asked, nominal * (1 - SPREAD + 2 * SPREAD * jitter)));
}

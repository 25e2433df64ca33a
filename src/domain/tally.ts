/** How many of something there were of late, those longer ago counting less; as of `at`, in epoch milliseconds. */
export type Tally = { weight: number; at: number };

export const NONE_COUNTED: Tally = { weight: 0, at: 0 };

/** With one more. A clock that went back counts as no time passed. */
export function counted(tally: Tally, halfLifeMs: number, now: number): Tally {
  return { weight: 1 + weightAt(tally, halfLifeMs, now), at: Math.max(tally.at, now) };
}

export function weightAt({ weight, at }: Tally, halfLifeMs: number, now: number): number {
  return weight * 2 ** (Math.min(0, at - now) / halfLifeMs);
}

/** How many come in a second. Says less than the truth until some half-lives have passed. */
export function perSecond(tally: Tally, halfLifeMs: number, now: number): number {
  return (weightAt(tally, halfLifeMs, now) * Math.LN2 * 1_000) / halfLifeMs;
}

/** Who holds a claim. Instants are epoch milliseconds. */
export type Claim = { jobId: string; claimedAt: number; until: number };

/**
 * The claim once `jobId` has asked for it. Whoever holds it keeps it until its window has passed, counted from its
 * first claim; the very same value if nothing changes.
 */
export function claimed(held: Claim | null, jobId: string, windowMs: number, now: number): Claim {
  if (held === null || now >= held.until) {
    return { jobId, claimedAt: now, until: now + windowMs };
  }
  // Who asks with a longer window wants this very job for longer; a shorter one takes nothing from the others.
  const until = held.claimedAt + windowMs;
  return until > held.until ? { ...held, until } : held;
}

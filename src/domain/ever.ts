import { add, merge, NOTHING, sharesOf, tallyOf, type Share, type StatsFact } from "./stats.ts";
import type { Tallied } from "./stats.ts";

/**
 * All that was counted since `since` (epoch milliseconds; null: nothing yet), for counters that may only grow.
 *
 * Its shares are by model and provider, of all tenants together. A name that has one keeps it for ever: one that came
 * and went with its rank, as in a window, would be a counter that falls.
 */
export type Ever = { since: number | null; tallied: Tallied };

export const NEVER: Ever = { since: null, tallied: NOTHING };

/** Shares with a name; models come as strings from outside, of some providers any. */
export const MOST_NAMED = 50;

/** The same and one fact more, told at `now`. */
export function addToEver({ since, tallied }: Ever, fact: StatsFact, now: number): Ever {
  let { shares, rest, ...counts } = tallyOf(fact);
  for (const share of shares.values()) {
    shares = sharesOf({ ...share, tenant: "" });
    if (isFull(tallied, shares)) {
      rest = add(rest, share);
      shares = NOTHING.shares;
    }
  }
  return { since: since ?? now, tallied: merge(tallied, { ...counts, shares, rest }) };
}

/** Adds two. In whatever order many are added, the sum is the same. */
export function mergeEver(a: Ever, b: Ever): Ever {
  return {
    since: a.since === null || b.since === null ? (a.since ?? b.since) : Math.min(a.since, b.since),
    tallied: merge(a.tallied, b.tallied),
  };
}

function isFull({ shares }: Tallied, added: ReadonlyMap<string, Share>): boolean {
  return shares.size >= MOST_NAMED && [...added.keys()].some((key) => !shares.has(key));
}

import type { Profile } from "../schema/job.ts";

/** A lane has its own queue and share of concurrency, so a flood in one is not felt in another. */
export const LANES = ["high", "normal", "low", "long"] as const;
export type Lane = (typeof LANES)[number];

/** Long jobs hold their slot for minutes and have a lane to themselves; the others go by priority (1 is soonest). */
export function laneOf(priorityLevel: number, profile: Profile): Lane {
  if (profile === "long_running") return "long";
  if (priorityLevel <= 3) return "high";
  return priorityLevel <= 7 ? "normal" : "low";
}

/** Priorities from here on are for work that can wait. */
const FIRST_LOW = 8;

/** Of who does not say, as consumers and rows of older versions do not. */
export const UNSAID_PRIORITY = 5;

/**
 * The lines in which jobs wait at a provider, the best first: one for each lane, and in the lane of long jobs one apart for those
 * that can wait, who must never have all of its places.
 */
export const LINES = [...LANES, "long_low"] as const;
export type Line = (typeof LINES)[number];

export function lineOf({ lane, priority = UNSAID_PRIORITY }: InLine): Line {
  return lane === "long" && priority >= FIRST_LOW ? "long_low" : lane;
}

type InLine = { lane: Lane; priority?: number | undefined };

/** The lane a line belongs to. */
export function laneOfLine(line: Line): Lane {
  return line === "long_low" ? "long" : line;
}

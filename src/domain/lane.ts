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

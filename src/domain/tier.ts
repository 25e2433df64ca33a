import type { Tier } from "../schema/job.ts";

type TierLimits = {
  /** A job's priority when it names none. */
  priorityLevel: number;
  /** The best (lowest) it may name. */
  bestPriorityLevel: number;
};

/** `default` is what everybody has while there are no tiers: any priority, the middle one unless told. */
export const TIERS: Record<Tier, TierLimits> = {
  enterprise: { priorityLevel: 1, bestPriorityLevel: 1 },
  pro: { priorityLevel: 3, bestPriorityLevel: 3 },
  free: { priorityLevel: 10, bestPriorityLevel: 10 },
  default: { priorityLevel: 5, bestPriorityLevel: 1 },
};

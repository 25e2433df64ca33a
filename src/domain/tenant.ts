import type { Tier } from "../schema/job.ts";

/** What a tenant may do and spend; null: as much as it likes. Money in US dollars, days and months in UTC. */
export type TenantLimits = {
  /** Jobs it may submit in a minute. */
  submitsPerMinute: number | null;
  /** Its jobs that have not ended. */
  maxQueued: number | null;
  dayBudgetUsd: number | null;
  monthBudgetUsd: number | null;
};

export const NO_LIMITS: TenantLimits = {
  submitsPerMinute: null,
  maxQueued: null,
  dayBudgetUsd: null,
  monthBudgetUsd: null,
};

/** What each tier has where the settings say nothing: no key without a budget. */
const TIER_LIMITS: Record<Tier, TenantLimits> = {
  free: { submitsPerMinute: 60, maxQueued: 1_000, dayBudgetUsd: 5, monthBudgetUsd: 50 },
  pro: { submitsPerMinute: 600, maxQueued: 10_000, dayBudgetUsd: 100, monthBudgetUsd: 1_000 },
  enterprise: {
    submitsPerMinute: 6_000,
    maxQueued: 100_000,
    dayBudgetUsd: 1_000,
    monthBudgetUsd: 20_000,
  },
  default: { submitsPerMinute: 600, maxQueued: 10_000, dayBudgetUsd: 100, monthBudgetUsd: 1_000 },
};

/** One number for each tier that a setting names; null: no limit. */
export type PerTier = Partial<Record<Tier, number | null>>;

/** What the settings say of limits. `presumed`: a tier they do not name has limits all the same. */
export type LimitSettings = Record<keyof TenantLimits, PerTier> & { presumed: boolean };

/** A tenant's own limits, which come before its tier's. */
export type OwnLimits = { [K in keyof TenantLimits]?: number };

/** The limits in force: the tenant's own, else what the settings say of its tier, else what a tier has. */
export function limitsOf(tier: Tier, own: OwnLimits, settings: LimitSettings): TenantLimits {
  const presumed = settings.presumed ? TIER_LIMITS[tier] : NO_LIMITS;
  const limit = (name: keyof TenantLimits): number | null => {
    const set = settings[name][tier];
    return own[name] ?? (set === undefined ? presumed[name] : set);
  };
  return {
    submitsPerMinute: limit("submitsPerMinute"),
    maxQueued: limit("maxQueued"),
    dayBudgetUsd: limit("dayBudgetUsd"),
    monthBudgetUsd: limit("monthBudgetUsd"),
  };
}

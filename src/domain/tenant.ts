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

import type { UsageView } from "../schema/usage.ts";
import type { Spent } from "./account.ts";
import { iso } from "./instant.ts";
import { dollars } from "./money.ts";
import { DAY_MS, spanOf, startOfDay, type Period } from "./period.ts";
import type { TenantLimits } from "./tenant.ts";
import type { Usage, UsageGroup, UsageOf, UsageQuery, UsageSum } from "./usage.ts";

/** What was asked for, instants in epoch milliseconds. */
export type AskedUsage = { from: number | null; to: number | null; groupBy: UsageGroup };

/** Whole days: from the first one's start to behind the last one's end. Without a word of it the month so far. */
export function usageQuery({ from, to, groupBy }: AskedUsage, now: number): UsageQuery {
  return {
    from: startOfDay(from ?? spanOf("month", now).start),
    to: startOfDay((to ?? now + DAY_MS) + (to === null ? 0 : DAY_MS - 1)),
    groupBy,
  };
}

/** A tenant's usage as it sees it. */
export function usageView(
  { from, to, groupBy }: UsageQuery,
  usage: Usage,
  spent: Record<Period, Spent>,
  limits: TenantLimits,
  now: number,
): UsageView {
  const budget = (period: Period, limit: number | null) => ({
    limit_usd: limit,
    spent_usd: dollars(spent[period].settledNano),
    reserved_usd: dollars(spent[period].reservedNano),
    resets_at: iso(spanOf(period, now).end),
  });
  return {
    from: iso(from),
    to: iso(to),
    group_by: groupBy,
    data: usage.groups.map((group) => ({ ...nameOf(groupBy, group), ...sums(group) })),
    left_out: usage.left,
    total: sums(usage.total),
    budget: {
      day: budget("day", limits.dayBudgetUsd),
      month: budget("month", limits.monthBudgetUsd),
    },
  };
}

function nameOf(groupBy: UsageGroup, { value }: UsageOf) {
  switch (groupBy) {
    case "day":
      return { day: iso(Number(value)).slice(0, 10) };
    case "model":
      return { model: String(value) };
    case "user":
      return { user: value === null ? null : String(value) };
  }
}

function sums({ jobs, promptTokens, completionTokens, costNano, wastedNano }: UsageSum) {
  return {
    jobs,
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    cost_usd: dollars(costNano),
    wasted_cost_usd: dollars(wastedNano),
  };
}

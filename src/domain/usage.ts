/** What usage is grouped by. */
export type UsageGroup = "model" | "day" | "user";

/** The jobs submitted from `from` on and before `to`, both starts of days. */
export type UsageQuery = { from: number; to: number; groupBy: UsageGroup };

/** What some jobs that ended came to. Money in billionths of a dollar. */
export type UsageSum = {
  jobs: number;
  promptTokens: number;
  completionTokens: number;
  costNano: number;
  wastedNano: number;
};

/** `value`: a model, a user (null: jobs without one) or the start of a day. */
export type UsageOf = UsageSum & { value: string | number | null };

/** Days in their order; models and users the dearest first. `total`: of all, those that are `left` out too. */
export type Usage = { groups: UsageOf[]; left: number; total: UsageSum };

export const NO_USAGE: UsageSum = {
  jobs: 0,
  promptTokens: 0,
  completionTokens: 0,
  costNano: 0,
  wastedNano: 0,
};

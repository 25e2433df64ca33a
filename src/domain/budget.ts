import { affordableTokens } from "./cost.ts";
import { currentAttempt, type Job } from "./job.ts";

/** The longest answer the job's own budget still pays for, of the model that is called next. */
export function tokensLeft({ spec, attempts, route }: Job): number {
  const { maxCostUsd, promptTokens, routes } = spec;
  if (maxCostUsd === undefined) return Infinity;
  return affordableTokens({ maxCostUsd, promptTokens }, attempts, routes[route]?.price ?? null);
}

/** Whether it failed because its answer reached the budget: what there is of it is kept. */
export function isCutByBudget(job: Job): boolean {
  return job.status === "failed" && currentAttempt(job)?.failure?.code === "budget";
}

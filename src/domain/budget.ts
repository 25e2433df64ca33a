import { affordableTokens } from "./cost.ts";
import { nextRoute, promptTokensAt, stepOf } from "./course.ts";
import { currentAttempt, type Job } from "./job.ts";

/** The longest answer the job's own budget still pays for, of the model that is called next. */
export function tokensLeft(job: Job): number {
  const { maxCostUsd } = job.spec;
  const isFree = (stepOf(job)?.type ?? "llm") !== "llm";
  if (maxCostUsd === undefined || isFree) return Infinity;
  const budget = { maxCostUsd, promptTokens: promptTokensAt(job) };
  return affordableTokens(budget, job.attempts, nextRoute(job)?.price ?? null);
}

/** Whether it failed because its answer reached the budget: what there is of it is kept. */
export function isCutByBudget(job: Job): boolean {
  return job.status === "failed" && currentAttempt(job)?.failure?.code === "budget";
}

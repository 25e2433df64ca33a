import { sumOfUsage } from "./cost.ts";
import { shownRoute } from "./course.ts";
import { hasEnded, type Attempt, type Job } from "./job.ts";
import { nanoOf } from "./money.ts";

/** What a job came to, all its calls together, those for nothing included. Money in billionths of a dollar. */
export type Bill = {
  /** The model asked last, as its caller named it. */
  model: string;
  /** Absent: the job has forgotten. */
  user?: string | null;
  /** Epoch milliseconds. */
  endedAt: number;
  promptTokens: number;
  completionTokens: number;
  costNano: number;
  /** The part of it that was for calls whose answer was lost. */
  wastedNano: number;
};

/** What the account is to know of a job: null while it may still cost something. */
export function billOf(job: Job): Bill | null {
  if (job.status === "purged") return job.bill ?? null;
  if (!hasEnded(job) || !("endedAt" in job)) return null;
  const { attempts, spec } = job;
  const usage = sumOfUsage(attempts.flatMap(({ usage }) => usage ?? []));
  return {
    model: shownRoute(job).name,
    user: spec.user,
    endedAt: job.endedAt,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    costNano: costOf(attempts),
    wastedNano: costOf(attempts.filter(({ outcome }) => outcome !== "completed")),
  };
}

/** What a job keeps of its bill when it forgets what its owner said. */
export function bareBill(job: Job): Bill | null {
  const bill = billOf(job);
  if (bill === null) return null;
  const { user: _, ...rest } = bill;
  return rest;
}

/** Rounded call by call, so that the parts make the whole. */
function costOf(attempts: Attempt[]): number {
  return attempts.reduce((sum, { costUsd }) => sum + nanoOf(costUsd ?? 0), 0);
}

/** What becomes of the reservation for the job of this uid. `unknown`: that job never came to be, or is no more. */
export type ChargeStanding = { type: "unknown" | "open" } | { type: "ended"; bill: Bill };

/** `job`: the one that has the id now. */
export function chargeStanding(job: Job | null, uid: string): ChargeStanding {
  if (job === null || job.spec.uid !== uid) return { type: "unknown" };
  const bill = billOf(job);
  if (bill !== null) return { type: "ended", bill };
  return { type: job.status === "purged" ? "unknown" : "open" };
}

import { tokensLeft } from "../domain/budget.ts";
import type { Job } from "../domain/job.ts";
import type { Grant } from "./job-rpc.ts";
import type { KeptRequest } from "../schema/job.ts";
import type { Needs } from "../schema/message.ts";

/** What a job needs for its next attempt; null: there is none to be. */
export function needsOf(job: Job): Needs | null {
  const provider = job.spec.routes[job.route]?.provider;
  if (job.status !== "queued" || provider === undefined) return null;
  const {
    tenant,
    priorityLevel: priority,
    promptTokens,
    answerTokens = 0,
    timeoutMs,
    leaseMs,
  } = job.spec;
  const tokens = promptTokens + answerTokens;
  return { provider, tenant, tokens, since: job.readyAt, priority, lastsMs: timeoutMs + leaseMs };
}

/** The answer to a consumer that has no permit for what the job calls; null: it has, or the job is not due. */
export function elsewhere(
  job: Job | null,
  provider: string | null | undefined,
  now: number,
): Grant | null {
  if (provider === undefined || job?.status !== "queued" || now < job.readyAt) return null;
  const needs = needsOf(job);
  return needs === null || needs.provider === provider ? null : { type: "elsewhere", needs };
}

/** What a consumer needs for the attempt it was leased; nothing where the job had no money left for one. */
export function grantOf(job: Job, request: KeptRequest | null, watched: boolean): Grant {
  const route = job.spec.routes[job.route];
  const isLeased = job.status === "active";
  if (!isLeased || route === undefined || request === null) return { type: "ignore" };
  const { timeoutMs } = job.spec;
  const maxTokens = tokensLeft(job);
  const cap = maxTokens === Infinity ? {} : { maxTokens };
  return { type: "leased", route, request, timeoutMs, watched, ...cap };
}

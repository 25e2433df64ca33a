import { tokensLeft } from "./domain/budget.ts";
import type { Job } from "./domain/job.ts";
import type { Grant } from "./job-rpc.ts";
import type { KeptRequest } from "./schema/job.ts";

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

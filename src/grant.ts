import type { Job } from "./domain/job.ts";
import type { Grant } from "./job-rpc.ts";
import type { KeptRequest } from "./schema/job.ts";

/** What a consumer needs for the attempt it was leased. */
export function grantOf(job: Job, request: KeptRequest | null, watched: boolean): Grant {
  const route = job.spec.routes[job.route];
  if (route === undefined || request === null) return { type: "ignore" };
  const { timeoutMs } = job.spec;
  return { type: "leased", route, request, timeoutMs, watched };
}

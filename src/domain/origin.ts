import type { BatchPlace } from "./batch-place.ts";
import { dlqIdOf, type HttpPlan, type JobSpec } from "./job.ts";
import type { Webhook } from "./webhook.ts";
import type { KeptRequest, Tier } from "../schema/job.ts";

/** A job that ended without an answer, and is to be tried again as a new one. */
export type Origin = {
  jobId: string;
  /** Of the job's dead letter, whether or not it has one: it names this very job for ever. */
  dlqId: string;
  tenant: string;
  tier: Tier;
  request: KeptRequest;
  webhook?: Webhook;
  /** What its `http` steps are sent with, by the index of the step; null for others. */
  httpSteps?: (HttpPlan | null)[];
  batch?: BatchPlace;
};

export function originOf(spec: JobSpec, request: KeptRequest): Origin {
  const { id: jobId, tenant, tier, webhook, batch } = spec;
  return {
    jobId,
    dlqId: dlqIdOf(spec),
    tenant,
    tier,
    request,
    ...(webhook === undefined ? {} : { webhook }),
    ...(batch === undefined ? {} : { batch }),
    ...httpStepsOf(spec),
  };
}

/** What goes along with a job's `http` steps, for a job that repeats it; nothing where there are no steps. */
export function httpStepsOf({ steps }: JobSpec): Pick<Origin, "httpSteps"> {
  if (steps === undefined) return {};
  return {
    httpSteps: steps.map(({ headers, submittedTo }) => {
      if (submittedTo === undefined) return null;
      return headers === undefined ? { submittedTo } : { headers, submittedTo };
    }),
  };
}

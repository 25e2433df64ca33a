import type { BatchPlace } from "./batch-place.ts";
import { dlqIdOf, type JobSpec } from "./job.ts";
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
  batch?: BatchPlace;
};

export function originOf(spec: JobSpec, request: KeptRequest): Origin {
  const { id: jobId, tenant, tier, webhook, batch } = spec;
  const origin = { jobId, dlqId: dlqIdOf(spec), tenant, tier, request };
  return {
    ...origin,
    ...(webhook === undefined ? {} : { webhook }),
    ...(batch === undefined ? {} : { batch }),
  };
}

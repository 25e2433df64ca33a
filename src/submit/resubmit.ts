import type { Config } from "../settings/config.ts";
import type { Origin } from "../domain/origin.ts";
import { TIERS } from "../domain/tier.ts";
import { fingerprintOf, objectName, randomToken, replayIdFor } from "../ids.ts";
import type { Submitted } from "../job/job-rpc.ts";
import { jobNamed } from "../job/job-stub.ts";
import type { Tier } from "../schema/job.ts";
import type { Refusal } from "./models.ts";
import { planJob } from "./plan.ts";
import type { Candidate, Door } from "./reservation.ts";

export type Resubmitted =
  | { type: "submitted"; jobId: string; submitted: Submitted }
  /** What it asks for is no longer to be had, such as a model taken off the list. */
  | { type: "refused"; refusals: Refusal[] };

/** How the new job is submitted: by its owner, or on the operator's word. */
export type Submit = (candidate: Candidate, door: Door) => Promise<Submitted>;

/** `priorityLevel`: the operator's word; without it the request's own counts. The others: as they were reserved for. */
type Own = { priorityLevel?: number; uid?: string; now?: number };

/** How long the new job's id is taken: longer than the old one may be kept, so that nobody makes another of it. */
const KEY_SECONDS = 400 * 86_400;

/**
 * Submits a job once more, under an id derived from it: however often and by whomever it is repeated, there is
 * one new job, one call and one bill. Of an item of a batch it is the item's next round.
 */
export async function resubmit(
  origin: Origin,
  { env, config }: { env: Env; config: Config },
  submit: Submit,
  { priorityLevel, uid = randomToken(16), now = Date.now() }: Own = {},
): Promise<Resubmitted> {
  const { tenant, tier, webhook, httpSteps, batch } = origin;
  // What the first submission waited for, and what made it a repetition of others, is over.
  const { delay_seconds: _, dedupe_window_seconds: __, ...request } = origin.request;
  const [id, fingerprint, carried] = await Promise.all([
    replayIdFor(origin.dlqId),
    fingerprintOf(request),
    finishedBy(origin, env),
  ]);
  const ordered = priorityLevel ?? allowed(request.priority, tier);
  const planned = planJob(
    {
      request,
      tenant,
      tier,
      id,
      idempotencyKey: null,
      fingerprint,
      uid,
      now,
      replayOf: origin.jobId,
      finishedSteps: carried.length,
      keySeconds: KEY_SECONDS,
      ...(webhook === undefined ? {} : { webhook }),
      ...(httpSteps === undefined ? {} : { httpSteps }),
      ...(batch === undefined ? {} : { batch: { ...batch, round: batch.round + 1 } }),
      ...(ordered === undefined ? {} : { priorityLevel: ordered }),
    },
    config,
  );
  if (!planned.ok) return { type: "refused", refusals: planned.refusals };
  const name = await objectName(tenant, id);
  const submitted = await submit(
    { ...planned, name },
    {
      submit: () => jobNamed(env, name).submit(planned.spec, request, carried),
      recall: () => jobNamed(env, name).recall(planned.spec),
    },
  );
  return { type: "submitted", jobId: id, submitted };
}

/**
 * The outputs of the steps that the job has finished, as long as it is kept. What they cost is paid already, so a job that
 * cannot be reached is not taken for one that has none.
 */
async function finishedBy({ tenant, jobId, dlqId, request }: Origin, env: Env): Promise<string[]> {
  if (request.steps === undefined) return [];
  return jobNamed(env, await objectName(tenant, jobId)).finished(dlqId);
}

/** The tier may have changed since: what was asked for then, as far as it goes now. Undefined: nothing was. */
function allowed(priority: number | undefined, tier: Tier): number | undefined {
  return priority === undefined ? undefined : Math.max(priority, TIERS[tier].bestPriorityLevel);
}

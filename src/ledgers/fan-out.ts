import { itemId, itemUid, jobOf, type Batch, type Task } from "../domain/batch.ts";
import { requestOf, type BatchItems } from "../domain/batch-items.ts";
import { retryOf } from "../domain/batch-draft.ts";
import type { Outcome } from "../domain/batch-transition.ts";
import type { Origin } from "../domain/origin.ts";
import { fingerprintOf, objectName } from "../ids.ts";
import type { Submitted } from "../job/job-rpc.ts";
import { jobNamed, ownJobNamed } from "../job/job-stub.ts";
import { logFault } from "../log.ts";
import { ConfigError, configOf } from "../settings/config.ts";
import type { BatchStore } from "../storage/batch-store.ts";
import { planJob } from "../submit/plan.ts";
import { resubmit } from "../submit/resubmit.ts";
import { within } from "../within.ts";
import { deadLetters } from "./dead-letter-stub.ts";

/** How long a job's object may take to answer, in milliseconds. */
const DEALT_WITHIN_MS = 30_000;

/**
 * What makes jobs of a batch's items, and stops them. Each task may be repeated: a job's id is derived from its batch and
 * index, or from the job that it repeats, and its object makes no second one.
 */
export class FanOut {
  readonly #env: Env;
  readonly #store: BatchStore;
  readonly #later: (work: Promise<void>) => void;
  /** In memory while jobs are made of them. */
  #items: BatchItems | null = null;

  constructor(env: Env, store: BatchStore, later: (work: Promise<void>) => void) {
    this.#env = env;
    this.#store = store;
    this.#later = later;
  }

  /** Rejects only where a setting is wrong: that is for the next deploy to mend, and the batch waits for it. */
  async deal(batch: Batch, task: Task): Promise<Outcome> {
    const { index } = task;
    try {
      return { index, ...(await within(DEALT_WITHIN_MS, this.#deal(batch, task))) };
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      logFault("job.unreachable", { job_id: jobOf(batch, index).jobId }, error);
      return { index, type: "unreachable" };
    }
  }

  /** The items are jobs now, or have ended. */
  forgetItems(): void {
    this.#items = null;
  }

  #deal(batch: Batch, { index, type }: Task): Promise<Result> {
    switch (type) {
      case "submit":
        return this.#submit(batch, index);
      case "resubmit":
        return this.#resubmit(batch, index);
      case "cancel":
        return this.#cancel(batch, index);
    }
  }

  async #submit({ spec }: Batch, index: number): Promise<Result> {
    this.#items ??= this.#store.items();
    const request = this.#items === null ? null : requestOf(this.#items, index);
    if (request === null) throw new Error("a batch has lost its requests");
    // Where its events go, and what its steps are sent with.
    const { request: _, ...sentWith } = this.#items?.items[index] ?? { request };
    const { id: batchId, tenant, tier, total, submittedAt: now } = spec;
    const [id, uid] = [itemId(spec, index), itemUid(spec, index)];
    const fingerprint = await fingerprintOf(request);
    const identity = { id, uid, idempotencyKey: null, fingerprint, now };
    const batch = { id: batchId, uid: spec.uid, index, total, round: 0 };
    const about = { request, tenant, tier, ...identity, batch };
    const planned = planJob({ ...about, ...sentWith }, configOf(this.#env));
    if (!planned.ok) return refused(planned.refusals[0]?.detail);
    const name = await objectName(tenant, id);
    const submitted = await jobNamed(this.#env, name).submit(planned.spec, request);
    return resultOf(submitted, { round: 0, jobId: id, uid });
  }

  async #resubmit(batch: Batch, index: number): Promise<Result> {
    const found = await (await this.#job(batch, index)).source();
    if (found.type !== "found") return { type: "gone" };
    const { origin } = found.value;
    const now = batch.owed[index] ?? Date.now();
    const { uid, round } = retryOf(batch, index, now);
    const service = { env: this.#env, config: configOf(this.#env) };
    // What it may cost was reserved with that of the others.
    const again = await resubmit(
      { ...origin, tier: batch.tier },
      service,
      (_, door) => door.submit(),
      {
        uid,
        now,
      },
    );
    if (again.type === "refused") return refused(again.refusals[0]?.detail);
    const { jobId } = again;
    this.#later(this.#closeLetter(origin, jobId));
    return resultOf(again.submitted, { round, jobId, uid });
  }

  async #cancel(batch: Batch, index: number): Promise<Result> {
    // One that is gone has told so before.
    await (await this.#job(batch, index)).cancel("The batch was cancelled");
    return { type: "asked" };
  }

  async #job(batch: Batch, index: number) {
    const { tenant } = batch.spec;
    const name = await objectName(tenant, jobOf(batch, index).jobId);
    return ownJobNamed(this.#env, name, tenant);
  }

  /** The operator need not do what the batch has done. Where this is lost, they get the same new job. */
  async #closeLetter({ dlqId }: Origin, newJobId: string): Promise<void> {
    try {
      await deadLetters(this.#env).retried(dlqId, newJobId);
    } catch (error) {
      logFault("dead_letter.unclosed", { dlq_id: dlqId }, error);
    }
  }
}

type WithoutIndex<T> = T extends unknown ? Omit<T, "index"> : never;
type Result = WithoutIndex<Outcome>;

function resultOf(
  submitted: Submitted,
  job: { round: number; jobId: string; uid: string },
): Result {
  switch (submitted.type) {
    case "accepted":
    case "replayed":
      return { type: "submitted", ...job };
    case "reused":
      return refused("Another job has the id that its job would have");
    case "gone":
      return { type: "gone" };
  }
}

function refused(detail = "No job can be made of it"): Result {
  return { type: "refused", detail };
}

import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "../alarm-clock.ts";
import { isUnlimited, type Admission } from "../domain/account.ts";
import { jobOf, needsRequests, retainedUntil, tasksOf, wakeAt } from "../domain/batch.ts";
import type { Batch, BatchLogEvent, BatchSpec } from "../domain/batch.ts";
import type { Told } from "../domain/batch-place.ts";
import { retryOf, type Dropped } from "../domain/batch-draft.ts";
import {
  acceptBatch,
  batchTransition,
  retryable,
  type BatchCommand,
} from "../domain/batch-transition.ts";
import { batchViewOf } from "../domain/batch-view.ts";
import { isSameSubmission, type Submission } from "../domain/job.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import { objectName, replayIdFor } from "../ids.ts";
import type { Found } from "../job/job-rpc.ts";
import { logBatch, logFault } from "../log.ts";
import type { BatchView } from "../schema/batch.ts";
import type { Tier } from "../schema/job.ts";
import { BatchStore } from "../storage/batch-store.ts";
import { reserveAll, unreserveAll } from "../submit/reservation.ts";
import type {
  BatchContent,
  BatchLogPage,
  BatchSubmitted,
  EntryPage,
  FailedRetried,
} from "./batch-rpc.ts";
import { entriesOf, jobIdsOf, logPageOf } from "./batch-reading.ts";
import { FanOut } from "./fan-out.ts";

/** What its jobs tell within so many milliseconds is written down together: one row, however many they are. */
const JOINED_MS = 100;

/**
 * Between two steps, in milliseconds, so that others get their turn: in the local runtime all objects share a thread, and
 * what they do among themselves comes before all that arrives.
 */
const BREATH_MS = 10;

/** How soon a step is made again whose object died with it. */
const CARRY_ON_MS = 10_000;

/**
 * One batch: which of its items have become jobs, and how each of them stands.
 *
 * Every change is load, decide (domain/batch-transition), store. Jobs are made by the alarm, in steps: which items a step
 * is about to make jobs of is written down before, so whoever dies within it begins it again and nothing else. Only one
 * alarm runs at a time, so steps do not overlap.
 */
export class BatchObject extends DurableObject<Env> {
  readonly #store = new BatchStore(this.ctx.storage);
  readonly #alarm = new AlarmClock(this.ctx.storage);
  readonly #fanOut = new FanOut(this.env, this.#store, (work) => this.ctx.waitUntil(work));
  #batch: Batch | null | undefined;
  /** What was told and is not written down yet, and when it is. */
  #heard: Told[] = [];
  #writing: Promise<void> | null = null;
  /** Retries are admitted one after another: what one has reserved for, the next must not. */
  #retrying: Promise<unknown> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => this.#alarm.recall(await ctx.storage.getAlarm()));
  }

  submit(spec: BatchSpec, { items, customIds, worstNano }: BatchContent): BatchSubmitted {
    const before = this.recall(spec);
    if (before !== null) return before;
    const { batch, events } = acceptBatch(spec);
    this.#store.create({ spec, customIds, worstNano }, items, batch, events);
    this.#adopt(batch, events);
    return { type: "accepted", spec, jobIds: jobIdsOf(spec) };
  }

  recall(submission: Submission): BatchSubmitted | null {
    const batch = this.#settled();
    if (batch === null) return this.#store.gone() === null ? null : { type: "gone" };
    const { spec } = batch;
    if (!isSameSubmission(spec, submission)) return { type: "reused" };
    return { type: "replayed", spec, jobIds: jobIdsOf(spec) };
  }

  hear(told: Told): Promise<void> {
    this.#heard.push(told);
    this.#writing ??= this.#writeDown();
    return this.#writing;
  }

  read(tenant: string): Found<BatchView> {
    return this.#found(tenant, batchViewOf);
  }

  cancel(tenant: string): Found<BatchView> {
    return this.#found(tenant, () => batchViewOf(this.#apply({ type: "cancel" })));
  }

  retryFailed(by: RetriedBy, tenant: string): Promise<Found<FailedRetried>> {
    const retried = this.#retrying.then(() => this.#retryFailed(by, tenant));
    this.#retrying = retried.catch(() => {});
    return retried;
  }

  entries(from: number, most: number, tenant: string): Found<EntryPage> {
    const customIds = this.#store.about()?.customIds ?? [];
    return this.#found(tenant, (batch) => entriesOf(batch, customIds, from, most));
  }

  log(after: number, tenant: string): Found<BatchLogPage> {
    return this.#found(tenant, (batch) => logPageOf(batch, this.#store, after));
  }

  override async alarm(): Promise<void> {
    this.#alarm.stopped();
    try {
      await this.#carryOn();
      const batch = this.#settled();
      if (batch !== null) return this.#alarm.set(wakeAt(batch));
      await this.#leave();
    } catch (error) {
      // The platform gives an alarm that throws up after six tries; this one must never be given up.
      logFault("alarm.failed", { object: this.ctx.id.name }, error);
      this.#alarm.tryAgain(Date.now());
    }
  }

  /** Step by step, for as long as there is anything to do and somebody to do it with. */
  async #carryOn(): Promise<void> {
    for (let batch = this.#settled(); batch !== null; batch = this.#settled()) {
      const tasks = tasksOf(batch);
      if (tasks.length === 0 || Date.now() < batch.nextStepAt) return;
      this.#alarm.set(Date.now() + CARRY_ON_MS);
      const before = batch;
      const outcomes = await Promise.all(tasks.map((task) => this.#fanOut.deal(before, task)));
      this.#apply({ type: "step", outcomes });
      await scheduler.wait(BREATH_MS);
    }
  }

  /** All that was told meanwhile, in one row. Rejects for all who told where it could not be written: they tell again. */
  async #writeDown(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, JOINED_MS));
    const told = this.#heard;
    [this.#heard, this.#writing] = [[], null];
    // A job may outlive its batch, and then nobody wants to know.
    if (this.#settled() !== null) this.#apply({ type: "hear", told });
  }

  async #retryFailed({ limits, tier }: RetriedBy, tenant: string): Promise<Found<FailedRetried>> {
    const found = this.#found(tenant, (batch) => ({ batch, indexes: retryable(batch) }));
    if (found.type !== "found") return found;
    const { batch, indexes } = found.value;
    if (batch.isCancelled) return { type: "found", value: { type: "cancelled" } };
    const now = Date.now();
    const admission = await this.#admit(batch, indexes, limits, now);
    if (admission !== "free" && admission?.type !== "admitted") {
      const worstNano = sumOf(indexes.map((index) => this.#worstOf(index)));
      return { type: "found", value: { type: "refused", refusal: admission, worstNano } };
    }
    // Some may have been tried again in another way while this one was let in.
    const still = new Set(retryable(this.#settled() ?? batch));
    const over = indexes.filter((index) => !still.has(index));
    if (admission !== "free") this.#release(over.map((index) => retryOf(batch, index, now)));
    const after = this.#apply({ type: "retry", indexes, tier }, now);
    const retried = indexes.length - over.length;
    const quota = admission === "free" ? null : admission.quota;
    return { type: "found", value: { type: "retried", retried, view: batchViewOf(after), quota } };
  }

  /** `free`: nobody need be asked. Null: the account could not be reached. */
  async #admit(
    batch: Batch,
    indexes: number[],
    limits: TenantLimits,
    now: number,
  ): Promise<Admission | "free" | null> {
    if (indexes.length === 0 || isUnlimited(limits)) return "free";
    const { tenant, uid } = batch.spec;
    const jobs = indexes.map(async (index) => {
      const id = await replayIdFor(`dlq_${jobOf(batch, index).uid}`);
      const job = await objectName(tenant, id);
      const retry = { uid: retryOf(batch, index, now).uid, job, model: "", user: null };
      return { ...retry, reserveNano: this.#worstOf(index) };
    });
    const asked = { limits, submission: `${uid}_${now}`, submittedAt: now };
    return reserveAll(this.env, tenant, { ...asked, jobs: await Promise.all(jobs) });
  }

  /** The most an item's job may cost; null: any sum. */
  #worstOf(index: number): number | null {
    return this.#store.about()?.worstNano?.[index] ?? null;
  }

  /** The batch as it stands now. Null: never submitted, or gone. */
  #settled(): Batch | null {
    this.#batch = this.#batch === undefined ? this.#store.load() : this.#batch;
    const batch = this.#batch;
    if (batch === null || Date.now() < (retainedUntil(batch) ?? Infinity)) return batch;
    const { tenant, keyExpiresAt: until } = batch.spec;
    this.#batch = null;
    this.ctx.waitUntil(this.#store.purge({ tenant, until }));
    this.#alarm.stopped();
    this.#alarm.set(until);
    return null;
  }

  /** Nothing is left of a batch once its id is free again. */
  async #leave(): Promise<void> {
    const gone = this.#store.gone();
    if (gone === null) return;
    if (Date.now() < gone.until) return this.#alarm.set(gone.until);
    await this.#store.forget();
  }

  #apply(command: BatchCommand, now = Date.now()): Batch {
    const batch = this.#settled();
    if (batch === null) throw new Error("there is no batch");
    const customIds = this.#store.about()?.customIds ?? [];
    const after = batchTransition(batch, command, customIds, now);
    if (after.batch === batch) return batch;
    this.#store.commit(after.batch, after.events);
    if (needsRequests(batch) && !needsRequests(after.batch)) {
      this.#store.dropItems();
      this.#fanOut.forgetItems();
    }
    this.#adopt(after.batch, after.events);
    if (batch.spec.reserved) this.#release(after.dropped);
    return after.batch;
  }

  /** The batch is stored: arm the alarm for it, tell of its events. */
  #adopt(batch: Batch, events: BatchLogEvent[]): void {
    this.#batch = batch;
    this.#alarm.set(wakeAt(batch));
    for (const { type } of events) {
      if (type === "queued") logBatch("batch.submitted", batch);
      else if (type === "reopened") logBatch("batch.reopened", batch);
      else if (type === "completed") logBatch("batch.completed", batch);
      else if (type === "cancelled") logBatch("batch.cancelled", batch);
    }
  }

  #release(dropped: Dropped[]): void {
    const tenant = this.#batch?.spec.tenant;
    if (tenant === undefined || dropped.length === 0) return;
    this.ctx.waitUntil(unreserveAll(this.env, tenant, dropped));
  }

  #found<T>(tenant: string, value: (batch: Batch) => T): Found<T> {
    const batch = this.#settled();
    if (batch !== null && batch.spec.tenant === tenant) {
      return { type: "found", value: value(batch) };
    }
    const isGone = batch === null && this.#store.gone()?.tenant === tenant;
    return { type: isGone ? "gone" : "unknown" };
  }
}

type RetriedBy = { limits: TenantLimits; tier: Tier };

function sumOf(parts: (number | null)[]): number | null {
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0);
}

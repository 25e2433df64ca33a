import fc from "fast-check";
import { expect, it } from "vitest";

import { countsOf, endOf, letterAt, tasksOf, type Batch } from "../../src/domain/batch.ts";
import type { BatchLogEvent, Task } from "../../src/domain/batch.ts";
import type { Told } from "../../src/domain/batch-place.ts";
import { acceptBatch, retryable, type Outcome } from "../../src/domain/batch-transition.ts";
import type { BatchCommand } from "../../src/domain/batch-transition.ts";
import { applied, batchSpecOf, hear, toldBy } from "./batch-fixtures.ts";

type Job = { index: number; round: number; status: "queued" | Told["status"]; stopped: boolean };

/** A batch, the jobs that were truly made of it, and all that was ever told. */
class World {
  batch: Batch;
  readonly events: BatchLogEvent[];
  readonly jobs = new Map<string, Job>();
  readonly told: Told[] = [];

  constructor(total: number) {
    const { batch, events } = acceptBatch(batchSpecOf({ total }));
    this.batch = batch;
    this.events = [...events];
  }

  give(command: BatchCommand): void {
    const { batch, events } = applied(this.batch, command);
    this.batch = batch;
    this.events.push(...events);
    this.check();
  }

  /** A step that is carried out up to a point and, if it is killed there, never written down. */
  step(upTo: number, isKilled: boolean): void {
    const tasks = tasksOf(this.batch).slice(0, Math.ceil(upTo * 50));
    const outcomes = tasks.map((task) => this.#carryOut(task));
    if (!isKilled) this.give({ type: "step", outcomes });
  }

  #carryOut({ index, type }: Task): Outcome {
    const before = this.batch.retries[index]?.round ?? 0;
    const round = type === "resubmit" ? before + 1 : before;
    const jobId = `${index}/${round}`;
    const job = this.jobs.get(jobId);
    if (type === "cancel") {
      if (job === undefined) throw new Error("a job is asked to stop that is not there");
      job.stopped = true;
      if (isOpen(job)) this.end(jobId, "cancelled");
      return { index, type: "asked" };
    }
    // The object makes one job of an id, however often it is asked.
    if (job === undefined) this.jobs.set(jobId, { index, round, status: "queued", stopped: false });
    return { index, type: "submitted", round, jobId, uid: jobId };
  }

  begin(at: number): void {
    const [entry] = this.#some(at, ({ status }) => status === "queued");
    if (entry === undefined) return;
    entry[1].status = "active";
    this.told.push(this.#toldOf(entry));
  }

  finish(at: number, status: "completed" | "failed"): void {
    const [entry] = this.#some(at, ({ status }) => status === "active");
    if (entry !== undefined) this.end(entry[0], status);
  }

  end(jobId: string, status: "completed" | "failed" | "cancelled"): void {
    const job = this.jobs.get(jobId);
    if (job === undefined) return;
    job.status = status;
    this.told.push(this.#toldOf([jobId, job]));
  }

  #some(at: number, wanted: (job: Job) => boolean): [string, Job][] {
    const fit = [...this.jobs].filter(([, job]) => wanted(job));
    return fit.slice(Math.floor(at * fit.length));
  }

  #toldOf([jobId, { index, round, status }]: [string, Job]): Told {
    return toldBy(index, status === "queued" ? "active" : status, { round, jobId, uid: jobId });
  }

  /** Every job tells until it is heard: in the end all is heard, in whatever order and however often. */
  settle(): void {
    for (let turns = 0; turns < 1_000; turns++) {
      while (tasksOf(this.batch).length > 0) this.step(1, false);
      // Nothing runs on, and is paid for, that a cancelled batch knows no more of.
      if (this.batch.isCancelled) expect([...this.jobs.values()].filter(isOpen)).toEqual([]);
      for (const [jobId, job] of this.jobs) {
        if (isOpen(job)) this.end(jobId, job.stopped ? "cancelled" : "completed");
      }
      this.give(hear(...this.told));
      if (tasksOf(this.batch).length === 0 && this.batch.endedAt !== null) return;
    }
    throw new Error("the batch does not come to an end");
  }

  check(): void {
    const counts = countsOf(this.batch);
    const sum = Object.values(counts).reduce((total, count) => total + count, 0);
    expect(sum).toBe(this.batch.spec.total);
    expect(this.events.map(({ seq }) => seq)).toEqual(this.events.map((_, at) => at + 1));
    expect(this.batch.seq).toBe(this.events.length);
  }
}

function isOpen({ status }: Job): boolean {
  return status === "queued" || status === "active";
}

const place = fc.nat(999).map((thousandths) => thousandths / 1_000);
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("step" as const), at: place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("killed" as const), at: place }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("begin" as const), at: place }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("complete" as const), at: place }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("fail" as const), at: place }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("tell" as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("retry" as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), at: place }) },
);

function live(world: World, { do: what, at }: { do: string; at: number }): void {
  if (what === "step") world.step(at, false);
  if (what === "killed") world.step(at, true);
  if (what === "begin") world.begin(at);
  if (what === "complete") world.finish(at, "completed");
  if (what === "fail") world.finish(at, "failed");
  if (what === "retry") world.give({ type: "retry", tier: "pro", indexes: retryable(world.batch) });
  if (what === "cancel" && at > 0.7) world.give({ type: "cancel" });
  const told = world.told.slice(Math.floor(at * world.told.length));
  // Some of it, old and new, and the same twice.
  if (what === "tell") world.give(hear(...told.slice(0, 3), ...told.slice(0, 1)));
}

/** How often each item ended, by what its log says, in each of its rounds. */
function endsByJob(events: BatchLogEvent[]): Map<string, string[]> {
  const ends = new Map<string, string[]>();
  for (const event of events) {
    if (!("index" in event)) continue;
    const key = `${event.index} ${event.job_id}`;
    ends.set(key, [...(ends.get(key) ?? []), event.type]);
  }
  return ends;
}

it("whatever is killed, repeated, cancelled or tried again, each item ends once and none is lost or doubled", () => {
  const total = fc.constantFrom(1, 3, 49, 50, 51, 120);
  const lives = fc.array(action, { maxLength: 120 });
  const law = fc.property(total, lives, (total, actions) => {
    const world = new World(total);
    world.check();
    for (const one of actions) live(world, one);
    world.settle();
    const { batch, events, jobs } = world;
    // Every item has ended, as its last job did or for it never had one.
    for (let index = 0; index < total; index++) {
      const rounds = [...jobs.values()].filter((job) => job.index === index);
      const last = rounds.findLast(({ round }) => round === (batch.retries[index]?.round ?? 0));
      const end = endOf(letterAt(batch, index));
      if (last === undefined) expect(end).toBe("cancelled");
      // A retry that was owed when the batch was cancelled is cancelled, whatever came before.
      else expect([last.status, batch.isCancelled ? "cancelled" : last.status]).toContain(end);
      expect(rounds.map(({ round }) => round)).toEqual(rounds.map((_, at) => at));
      if (!batch.isCancelled) expect(rounds.length).toBeGreaterThan(0);
    }
    for (const ends of endsByJob(events).values()) {
      expect(ends.slice(1)).toEqual(ends.length > 1 ? ["item_cancelled"] : []);
    }
    const lastWord = events.at(-1)?.type;
    expect(lastWord).toBe(batch.isCancelled ? "cancelled" : "completed");
    const finals = events.filter(({ type }) => type === "completed" || type === "cancelled");
    const opened = events.filter(({ type }) => type === "reopened");
    expect(finals.length).toBeLessThanOrEqual(opened.length + 1);
    // Told once more, all of it changes nothing.
    expect(applied(batch, hear(...world.told)).batch).toBe(batch);
  });
  fc.assert(law, { numRuns: 500 });
}, 60_000);

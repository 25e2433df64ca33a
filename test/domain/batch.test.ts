import { describe, expect, it } from "vitest";

import { countsOf, SIDE_BY_SIDE, tasksOf, wakeAt, type Batch } from "../../src/domain/batch.ts";
import { requestOf } from "../../src/domain/batch-items.ts";
import { acceptBatch, retryable } from "../../src/domain/batch-transition.ts";
import { batchViewOf } from "../../src/domain/batch-view.ts";
import {
  acceptedBatch,
  applied,
  batchAfter,
  batchSpecOf,
  hear,
  stepOf,
  toldBy,
} from "./batch-fixtures.ts";
import { DAY, NOW, SECOND } from "./fixtures.ts";

const tier = "pro";

/** A batch of three whose jobs are all made. */
function sent(): Batch {
  const batch = acceptedBatch();
  return batchAfter(batch, stepOf(batch));
}

function ended(...ends: ("completed" | "failed" | "cancelled")[]): Batch {
  return batchAfter(sent(), hear(...ends.map((end, index) => toldBy(index, end))));
}

describe("a batch that is accepted", () => {
  it("has its first step written down with it, and no more than a step", () => {
    const { batch, events } = acceptBatch(batchSpecOf({ total: 1_000 }));
    expect(tasksOf(batch)).toHaveLength(SIDE_BY_SIDE);
    expect(tasksOf(batch).every(({ type }) => type === "submit")).toBe(true);
    expect(events).toEqual([{ type: "queued", total: 1_000, seq: 1, at: expect.any(String) }]);
    expect(countsOf(batch)).toMatchObject({ waiting: 1_000, active: 0 });
  });

  it("goes on to the next step, and sleeps once all its jobs are made", () => {
    let batch = acceptedBatch({ total: 2 * SIDE_BY_SIDE + 1 });
    for (const done of [SIDE_BY_SIDE, SIDE_BY_SIDE, 1]) {
      expect([tasksOf(batch).length, wakeAt(batch)]).toEqual([done, NOW]);
      batch = batchAfter(batch, stepOf(batch));
    }
    expect([tasksOf(batch).length, wakeAt(batch)]).toEqual([0, Infinity]);
  });

  it("waits longer and longer for objects that cannot be reached, and gives no item up", () => {
    const outcomes = [0, 1, 2].map((index) => ({ index, type: "unreachable" as const }));
    let batch = acceptedBatch();
    const pauses = Array.from({ length: 8 }, () => {
      batch = batchAfter(batch, { type: "step", outcomes });
      return (batch.nextStepAt - NOW) / SECOND;
    });
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
    expect(tasksOf(batch)).toHaveLength(3);
    const some = batchAfter(batch, {
      type: "step",
      outcomes: [{ index: 1, type: "refused", detail: "no" }, ...outcomes.slice(0, 1)],
    });
    expect([some.stumbles, some.nextStepAt]).toEqual([0, NOW]);
  });
});

describe("an item", () => {
  it("of which no job can be made has failed, and is not tried again", () => {
    const outcomes = [{ index: 1, type: "refused" as const, detail: "Its model is no more" }];
    const { batch, events, dropped } = applied(acceptedBatch(), { type: "step", outcomes });
    expect(countsOf(batch)).toMatchObject({ failed: 1, waiting: 2 });
    expect(events.map(({ type }) => type)).toEqual(["item_failed", "progress"]);
    expect(dropped).toEqual([{ uid: "uid-of-nightly_1", submittedAt: NOW }]);
    expect(retryable(batch)).toEqual([]);
  });

  it("whose job was deleted before the step was over is cancelled", () => {
    const { batch } = applied(acceptedBatch(), {
      type: "step",
      outcomes: [{ index: 0, type: "gone" }],
    });
    expect(countsOf(batch)).toMatchObject({ cancelled: 1, waiting: 2 });
  });

  it("ends once, with what it came to, whatever it tells after", () => {
    const once = batchAfter(sent(), hear(toldBy(0, "active"), toldBy(0, "completed")));
    expect(batchViewOf(once)).toMatchObject({
      progress: 33,
      status_counts: { completed: 1, waiting: 2 },
      usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
      cost_usd: 0.000001,
    });
    for (const status of ["active", "completed", "failed", "cancelled"] as const) {
      expect(applied(once, hear(toldBy(0, status)))).toMatchObject({ batch: once, events: [] });
    }
  });

  it("that tells before its step is over is not set back by it", () => {
    const batch = acceptedBatch();
    const early = batchAfter(batch, hear(toldBy(0, "active"), toldBy(1, "failed")), stepOf(batch));
    expect(countsOf(early)).toMatchObject({ active: 1, failed: 1, waiting: 1 });
    expect(tasksOf(early)).toEqual([]);
  });

  it("of a batch that had the id before tells nothing, were it tried again by now", () => {
    const batch = sent();
    const other = { batchUid: "uid-of-last-night" };
    const retried = toldBy(0, "active", { ...other, round: 1, jobId: "old", uid: "old" });
    const late = applied(batch, hear(toldBy(1, "cancelled", other), retried));
    expect(late).toMatchObject({ batch, events: [], dropped: [] });
  });

  it("that is not there tells nobody anything", () => {
    const batch = sent();
    expect(applied(batch, hear(toldBy(3, "completed"))).batch).toBe(batch);
  });
});

describe("a batch whose items have all ended", () => {
  it("is completed, says so last, and is kept as long as it must", () => {
    const before = batchAfter(sent(), hear(toldBy(0, "completed"), toldBy(1, "failed")));
    const { batch, events } = applied(before, hear(toldBy(2, "cancelled")), NOW + SECOND);
    expect(events.map(({ type }) => type)).toEqual(["item_cancelled", "progress", "completed"]);
    expect(batchViewOf(batch)).toMatchObject({
      status: "completed",
      is_complete: true,
      progress: 33,
      completed_at: "2026-11-22T12:00:01.000Z",
    });
    expect(wakeAt(batch)).toBe(NOW + SECOND + 7 * DAY);
  });

  it("is not cancelled any more", () => {
    const batch = ended("completed", "failed", "completed");
    expect(applied(batch, { type: "cancel" })).toMatchObject({ batch, events: [] });
  });
});

describe("a cancelled batch", () => {
  it("ends at once what has no job, and asks the others to stop, each once", () => {
    const early = acceptedBatch({ total: SIDE_BY_SIDE + 10 });
    const { batch, events, dropped } = applied(early, { type: "cancel" });
    expect(countsOf(batch)).toMatchObject({ cancelled: 10, waiting: SIDE_BY_SIDE });
    expect(events.filter(({ type }) => type === "item_cancelled")).toHaveLength(10);
    expect(dropped).toHaveLength(10);
    // Jobs may have been made of these: they are made for certain, then stopped.
    const made = batchAfter(batch, stepOf(batch));
    expect(tasksOf(made).map(({ type }) => type)).toEqual(
      Array.from({ length: SIDE_BY_SIDE }, () => "cancel"),
    );
    const asked = batchAfter(made, stepOf(made));
    expect([tasksOf(asked), batchViewOf(asked).status]).toEqual([[], "cancelling"]);
    const told = Array.from({ length: SIDE_BY_SIDE }, (_, index) => toldBy(index, "cancelled"));
    const last = applied(asked, hear(...told));
    expect(last.events.at(-1)).toMatchObject({ type: "cancelled", progress: 0 });
    expect(batchViewOf(last.batch)).toMatchObject({ status: "cancelled", completed_at: null });
  });

  it("keeps the results there are, also of items that were quicker", () => {
    const batch = batchAfter(sent(), hear(toldBy(0, "completed")), { type: "cancel" });
    const asked = batchAfter(batch, stepOf(batch), hear(toldBy(1, "active")));
    expect(countsOf(asked)).toMatchObject({ completed: 1, active: 1, waiting: 1 });
    expect(tasksOf(asked)).toEqual([]);
    const over = batchAfter(asked, hear(toldBy(1, "completed"), toldBy(2, "cancelled")));
    expect(batchViewOf(over)).toMatchObject({
      status: "cancelled",
      status_counts: { completed: 2, cancelled: 1 },
    });
  });

  it("is neither tried again nor opened by who tries one of its jobs again", () => {
    const stopped = batchAfter(
      sent(),
      { type: "cancel" },
      hear(toldBy(0, "failed"), toldBy(1, "cancelled"), toldBy(2, "cancelled")),
    );
    const retried = applied(stopped, { type: "retry", tier, indexes: [0] });
    const apart = applied(stopped, hear(toldBy(0, "active", { round: 1, jobId: "other" })));
    expect([retried.batch, apart.batch]).toEqual([stopped, stopped]);
    expect(retryable(stopped)).toEqual([]);
  });
});

describe("trying again what failed", () => {
  it("opens the batch, and completes it once more with the new jobs", () => {
    const failed = ended("failed", "completed", "failed");
    const { batch, events } = applied(failed, { type: "retry", tier, indexes: retryable(failed) });
    expect(events.map(({ type }) => type)).toEqual(["reopened", "progress"]);
    expect(batchViewOf(batch)).toMatchObject({ status: "active", is_complete: false });
    expect(tasksOf(batch)).toEqual([0, 2].map((index) => ({ index, type: "resubmit" })));
    expect(applied(batch, { type: "retry", tier, indexes: retryable(batch) }).batch).toBe(batch);
    const again = batchAfter(batch, stepOf(batch));
    // What the first jobs still tell is old.
    const late = applied(again, hear(toldBy(0, "failed")));
    expect(late.batch).toBe(again);
    const over = applied(
      again,
      hear(toldBy(0, "completed", { round: 1 }), toldBy(2, "completed", { round: 1 })),
    );
    expect(over.events.at(-1)).toMatchObject({ type: "completed", progress: 100 });
    expect(batchViewOf(over.batch).usage.completion_tokens).toBe(5 * 90);
    expect(over.batch.retries[0]).toEqual({ round: 1, jobId: "job-0-1", uid: "uid-0-1" });
  });

  it("by whoever does it one by one, opens the batch as well", () => {
    const failed = ended("failed", "completed", "completed");
    const told = toldBy(0, "active", { round: 1, jobId: "another", uid: "theirs" });
    const { batch, events } = applied(failed, hear(told));
    expect(events.map(({ type }) => type)).toEqual(["reopened", "progress"]);
    expect(batch.retries[0]).toEqual({ round: 1, jobId: "another", uid: "theirs" });
    expect(countsOf(batch)).toMatchObject({ active: 1, completed: 2, failed: 0 });
  });

  it("gives back what was reserved where another was quicker, or it is cancelled, or refused", () => {
    const total = SIDE_BY_SIDE + 1;
    const all = Array.from({ length: total }, (_, index) => index);
    const first = acceptedBatch({ total });
    const both = batchAfter(first, stepOf(first));
    const failed = batchAfter(both, stepOf(both), hear(...all.map((at) => toldBy(at, "failed"))));
    const batch = batchAfter(failed, { type: "retry", tier, indexes: all });
    const quicker = toldBy(3, "active", { round: 1, jobId: "another", uid: "theirs" });
    expect(applied(batch, hear(quicker)).dropped).toEqual([retryAt(3)]);
    const cancelled = applied(batch, { type: "cancel" });
    expect(cancelled.dropped).toEqual([retryAt(SIDE_BY_SIDE)]);
    const outcomes = [{ index: 0, type: "refused" as const, detail: "no" }];
    const refused = applied(batch, { type: "step", outcomes });
    expect(refused.dropped).toEqual([retryAt(0)]);
    expect(refused.batch.refusals).toEqual({});
    expect(retryable(refused.batch)).toEqual([0]);
  });
});

/** What was reserved for the retry of an item. */
function retryAt(index: number) {
  return { uid: `uid-of-nightly_${index}_1_${NOW}`, submittedAt: NOW };
}

describe("an item's request", () => {
  const defaults = { priority: 8, model: "gpt-4o", params: { seed: 1, temperature: 0 } };

  it("is its own words before the batch's, of its parameters one by one", () => {
    const items = [{ request: { prompt: "a", model: "b", params: { seed: 2 } } }];
    expect(requestOf({ defaults, items }, 0)).toEqual({
      ...defaults,
      prompt: "a",
      model: "b",
      params: { seed: 2, temperature: 0 },
    });
  });

  it("is the batch's where it says nothing, and none where there is no item", () => {
    const items = [{ request: { prompt: "a" } }];
    expect(requestOf({ defaults, items }, 0)).toEqual({ ...defaults, prompt: "a" });
    expect(requestOf({ defaults, items }, 1)).toBeNull();
  });
});

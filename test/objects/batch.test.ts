import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { NO_LIMITS } from "../../src/domain/tenant.ts";
import type { BatchReplayed } from "../../src/schema/batch.ts";
import type { Problem } from "../../src/schema/error.ts";
import {
  batch,
  batchEvents,
  batchObject,
  batchRows,
  batchView,
  carryOn,
  evictBatch,
  failJob,
  nameOfJob,
  OPEN,
  sendBatch,
  submittedBatch,
  TENANT,
  toldOfItem,
  untilBatch,
} from "./batches.ts";
import { completed, DAY_MS, holdClock, job, leased, logged, newName } from "./support.ts";
import { passTime, queues, view } from "./support.ts";
import { request } from "./worker-side.ts";

holdClock();

async function complete(jobId: string): Promise<void> {
  await completed(await nameOfJob(jobId), "Rayleigh");
}

const post = (path: string) => request(OPEN, path, { method: "POST" });

describe("a batch", () => {
  it("is accepted in one row for what does not change, one for its items, one for how it stands", async () => {
    const { batch_id, job_ids, job_count } = await submittedBatch(60);
    expect([job_count, job_ids.length, new Set(job_ids).size]).toEqual([60, 60, 60]);
    expect((await batchRows(batch_id)).keys).toEqual(["about", "commit:000000001", "items:0"]);
    expect(await job(await nameOfJob(job_ids[0] ?? "")).glance()).toEqual({ type: "unknown" });
  });

  it("makes jobs of all its items, in the low lane, which say where they are, and lets go of what it held", async () => {
    const { batch_id, job_ids } = await submittedBatch(60, { metadata: { page: "faq" } });
    await carryOn(batch_id);
    const names = await Promise.all(job_ids.map(nameOfJob));
    expect(names.map((name) => queues.to(name))).toEqual(names.map(() => ["LANE_LOW"]));
    expect(await view(names[59] ?? "")).toMatchObject({
      job_id: job_ids[59],
      batch_id,
      batch_index: 59,
      batch_total: 60,
      priority_level: 8,
      metadata: { page: "faq" },
    });
    expect((await batchRows(batch_id)).keys).toEqual(["about", "commit:000000001"]);
    expect(await batchView(batch_id)).toMatchObject({
      status: "active",
      status_counts: { waiting: 60, active: 0 },
    });
  });

  it("hears of its jobs, keeps what it heard, and is over with the last of them", async () => {
    const { batch_id, job_ids } = await submittedBatch(3);
    await carryOn(batch_id);
    const [first = "", second = "", third = ""] = job_ids;
    await leased(await nameOfJob(third));
    await complete(first);
    await failJob(second);
    const counts = { completed: 1, failed: 1, active: 1, waiting: 0, cancelled: 0 };
    await untilBatch(batch_id, ({ status_counts }) => status_counts.failed === 1);
    await evictBatch(batch_id);
    const { progress, status_counts } = await batchView(batch_id);
    expect([progress, status_counts]).toEqual([33, counts]);
    await job(await nameOfJob(third)).cancel("enough");
    const view = await untilBatch(batch_id, ({ is_complete }) => is_complete);
    expect(view).toMatchObject({ status: "completed", usage: { completion_tokens: 180 } });
    const log = await batchEvents(batch_id);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, at) => at + 1));
    expect(log.filter((event) => "index" in event).map(({ type }) => type)).toHaveLength(3);
    expect(log.slice(-1)).toMatchObject([{ type: "completed", batch_id, progress: 33 }]);
  });

  it("writes what many jobs tell at once as one row", async () => {
    const { batch_id } = await submittedBatch(50);
    await carryOn(batch_id);
    const stub = await batch(batch_id);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, index) => toldOfItem(batch_id, index, "completed")),
    );
    await Promise.all([...all, ...all].map((told) => stub.hear(told)));
    expect((await batchView(batch_id)).is_complete).toBe(true);
    const { keys } = await batchRows(batch_id);
    expect(keys.filter((key) => key.startsWith("commit:"))).toHaveLength(2);
  });

  it("F41: that dies within a step makes no job twice and forgets none", async () => {
    const { batch_id, job_ids } = await submittedBatch(60);
    const object = await batchObject(batch_id);
    const before = await runInDurableObject(object, (_, { storage }) => [...storage.kv.list()]);
    await carryOn(batch_id);
    const once = queues.sent.length;
    // As where the jobs were made, and the batch died before it could say so.
    await runInDurableObject(object, (_, { storage }) => {
      for (const [key, value] of before) storage.kv.put(key, value);
    });
    await evictBatch(batch_id);
    expect((await batchRows(batch_id)).keys).toContain("items:0");
    await carryOn(batch_id);
    expect(queues.sent).toHaveLength(once);
    const made = await Promise.all(job_ids.map(async (id) => view(await nameOfJob(id))));
    expect(made.map(({ batch_index }) => batch_index)).toEqual(job_ids.map((_, at) => at));
    expect((await batchRows(batch_id)).keys).toEqual(["about", "commit:000000001"]);
  });

  it("is kept as long as its jobs may be, then gone, and its id is free with its key", async () => {
    const key = newName();
    const body = { requests: [{ prompt: "a", retention_seconds: 60 }] };
    await sendBatch(body, key);
    await carryOn(key);
    await (await batch(key)).hear(await toldOfItem(key, 0, "completed"));
    passTime(59_000);
    expect((await batchView(key)).is_complete).toBe(true);
    passTime(1_001);
    expect((await request(OPEN, `/api/batches/${key}`)).status).toBe(410);
    expect((await sendBatch(body, key)).status).toBe(410);
    passTime(DAY_MS);
    await carryOn(key);
    expect(await batchRows(key)).toEqual({ keys: [], alarm: null });
    expect((await request(OPEN, `/api/batches/${key}`)).status).toBe(404);
    expect((await sendBatch(body, key)).status).toBe(202);
  });
});

describe("a batch that is submitted again", () => {
  it("is the same one to the same payload, and refused to another", async () => {
    const key = newName();
    const body = { prompts: ["a", "b"] };
    const first = await (await sendBatch(body, key)).json<BatchReplayed>();
    const again = await sendBatch(body, key);
    const replay = await again.json<BatchReplayed>();
    expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect([replay.batch_id, replay.job_ids]).toEqual([key, first.job_ids]);
    const other = await sendBatch({ prompts: ["a"] }, key);
    const { code } = await other.json<Problem>();
    expect([other.status, code]).toEqual([422, "idempotency-key-reused"]);
  });
});

describe("a cancelled batch", () => {
  it("ends what has no job, stops what has one, and keeps what was done", async () => {
    const { batch_id, job_ids } = await submittedBatch(60);
    const [first = "", second = ""] = job_ids;
    // Before its first step is over nobody knows which of fifty have a job.
    expect(await (await post(`/api/batches/${batch_id}/cancel`)).json()).toMatchObject({
      status: "cancelling",
      status_counts: { cancelled: 10, waiting: 50 },
    });
    await carryOn(batch_id);
    const over = await untilBatch(batch_id, ({ is_complete }) => is_complete);
    expect(over).toMatchObject({ status: "cancelled", status_counts: { cancelled: 60 } });
    for (const id of [first, second]) {
      expect(await view(await nameOfJob(id))).toMatchObject({ status: "cancelled" });
    }
    expect(await job(await nameOfJob(job_ids[59] ?? "")).glance()).toEqual({ type: "unknown" });
    const again = await (await post(`/api/batches/${batch_id}/cancel`)).json();
    expect(again).toEqual(over);
    expect((await post(`/api/batches/${batch_id}/retry-failed`)).status).toBe(409);
  });
});

describe("what failed in a batch", () => {
  it("is tried again once, however often and in whichever way that is asked for", async () => {
    const { batch_id, job_ids } = await submittedBatch(3);
    await carryOn(batch_id);
    const [first = "", second = "", third = ""] = job_ids;
    await Promise.all([failJob(first), failJob(second), complete(third)]);
    await untilBatch(batch_id, ({ is_complete }) => is_complete);
    // One of them by its owner, before the batch is asked.
    const own = await (await post(`/api/jobs/${first}/retry`)).json<{ job_id: string }>();
    const retried = await Promise.all(
      [1, 2].map(() => post(`/api/batches/${batch_id}/retry-failed`)),
    );
    const answers = await Promise.all(retried.map((answer) => answer.json<{ retried: number }>()));
    expect(answers.map(({ retried }) => retried)).toEqual([2, 0]);
    await carryOn(batch_id);
    const entries = await (await batch(batch_id)).entries(0, 3, TENANT);
    if (entries.type !== "found") throw new Error("there is no batch");
    const [one, two] = entries.value.entries;
    expect(one).toMatchObject({ job_id: own.job_id, status: null });
    const second2 = await view(await nameOfJob(two?.job_id ?? ""));
    expect(second2).toMatchObject({ replay_of: second, batch_id, batch_index: 1 });
    await Promise.all([complete(own.job_id), complete(two?.job_id ?? "")]);
    const over = await untilBatch(batch_id, ({ is_complete }) => is_complete);
    expect(over).toMatchObject({ progress: 100, status_counts: { completed: 3 } });
    const log = await batchEvents(batch_id);
    expect(log.map(({ type }) => type).filter((type) => type === "completed")).toHaveLength(2);
  });

  it("and was deleted since is cancelled, for there is nothing to try again, and not asked for again", async () => {
    const { batch_id, job_ids } = await submittedBatch(1);
    await carryOn(batch_id);
    const [failed = ""] = job_ids;
    await failJob(failed);
    await untilBatch(batch_id, ({ is_complete }) => is_complete);
    await job(await nameOfJob(failed)).delete();
    await post(`/api/batches/${batch_id}/retry-failed`);
    await carryOn(batch_id);
    const over = await untilBatch(batch_id, ({ is_complete }) => is_complete);
    expect(over.status_counts).toMatchObject({ cancelled: 1, failed: 0 });
    const again = await post(`/api/batches/${batch_id}/retry-failed`);
    expect(await again.json()).toMatchObject({ retried: 0 });
  });

  it("opens its batch again where its owner tries it again by itself", async () => {
    const { batch_id, job_ids } = await submittedBatch(1);
    await carryOn(batch_id);
    await failJob(job_ids[0] ?? "");
    await untilBatch(batch_id, ({ is_complete }) => is_complete);
    const retried = await post(`/api/jobs/${job_ids[0]}/retry`);
    const { job_id } = await retried.json<{ job_id: string }>();
    await complete(job_id);
    const over = await untilBatch(batch_id, ({ progress }) => progress === 100);
    expect(over.status).toBe("completed");
  });
});

describe("a batch of another tenant", () => {
  it("is unknown, were its object ever reached", async () => {
    const { batch_id } = await submittedBatch(1);
    const stub = await batch(batch_id);
    const asked = [
      await stub.read("rival"),
      await stub.cancel("rival"),
      await stub.entries(0, 1, "rival"),
      await stub.log(0, "rival"),
      await stub.retryFailed({ limits: NO_LIMITS, tier: "pro" }, "rival"),
    ];
    expect(asked).toEqual(asked.map(() => ({ type: "unknown" })));
    expect((await batchView(batch_id)).status).toBe("active");
  });
});

describe("the log lines of a batch", () => {
  it("say how many, and never what", async () => {
    const { batch_id } = await submittedBatch(2, { prompts: ["secret-a", "secret-b"] });
    await carryOn(batch_id);
    const lines = logged.filter((line) => line.includes(batch_id));
    expect(lines.some((line) => line.includes("batch.submitted"))).toBe(true);
    expect(lines.join("").includes("secret-")).toBe(false);
  });
});

import { describe, expect, it } from "vitest";

// First, for the app must have its document's tools before there are schemas.
import { request } from "./worker-side.ts";
import type { FollowedLog } from "../../src/followed.ts";
import type { BatchLogPage } from "../../src/ledgers/batch-rpc.ts";
import { batchLog } from "../../src/ledgers/batch-stub.ts";
import { BatchConnected, BatchEventPage } from "../../src/schema/batch.ts";
import {
  batch,
  batchEvents,
  batchLines,
  carryOn,
  evictBatch,
  failJob,
  OPEN,
  sendBatch,
  submittedBatch,
  TENANT,
  toldOfItem,
  untilBatch,
} from "./batches.ts";
import { asFrames, Follower } from "./follower.ts";
import { holdClock, newName, passTime } from "./support.ts";

holdClock();

async function logOf(id: string, tenant = TENANT): Promise<FollowedLog<BatchLogPage>> {
  return batchLog(await batch(id), tenant);
}

async function follower(id: string, after = 0, format = "sse"): Promise<Follower> {
  return Follower.at(await logOf(id), `format=${format}&after=${after}`);
}

/** What the first jobs of these items tell: that they have completed. */
async function complete(id: string, ...indexes: number[]): Promise<void> {
  const stub = await batch(id);
  const told = await Promise.all(indexes.map((index) => toldOfItem(id, index, "completed")));
  await Promise.all(told.map((one) => stub.hear(one)));
}

/** A batch of two, one of which has failed. */
async function halfFailed(): Promise<string> {
  const { batch_id, job_ids } = await submittedBatch(2);
  await carryOn(batch_id);
  await complete(batch_id, 0);
  await failJob(job_ids[1] ?? "");
  await untilBatch(batch_id, ({ is_complete }) => is_complete);
  return batch_id;
}

function ask(id: string, query = "", headers: Record<string, string> = {}): Promise<Response> {
  return request(OPEN, `/api/batches/${id}/events${query}`, { headers });
}

/** What an upgrade is answered. */
async function status(id: string, tenant = TENANT): Promise<number> {
  const upgrade = new Request("https://log/", { headers: { upgrade: "websocket" } });
  return (await (await logOf(id, tenant)).fetch(upgrade)).status;
}

describe("a subscriber of a batch", () => {
  it("is sent the log and what comes, through evictions, and is closed with 1000 at the end (invariant 4)", async () => {
    const { batch_id } = await submittedBatch(2);
    await carryOn(batch_id);
    const [early, waiting] = [await follower(batch_id), await follower(batch_id, 1, "poll")];
    await early.first(1);
    await evictBatch(batch_id);
    await complete(batch_id, 0);
    await early.first(3);
    expect(await waiting.first(1)).toEqual(["changed"]);
    await evictBatch(batch_id);
    await complete(batch_id, 1);
    expect([await early.end(), await waiting.end()]).toEqual([1000, 1000]);
    const whole = asFrames(await batchLines(batch_id));
    expect(early.frames).toEqual(whole);
    const types = (await batchEvents(batch_id)).map(({ type }) => type);
    expect(types).toEqual([
      "queued",
      "item_completed",
      "progress",
      "item_completed",
      "progress",
      "completed",
    ]);
    for (const cursor of [0, 4, whole.length, whole.length + 5]) {
      const late = await follower(batch_id, cursor);
      expect(await late.end()).toBe(1000);
      expect(late.frames).toEqual(whole.slice(cursor));
    }
  });

  it("that comes once failed items are tried again goes on behind the old end", async () => {
    const batch_id = await halfFailed();
    const before = (await batchLines(batch_id)).length;
    const retried = await request(OPEN, `/api/batches/${batch_id}/retry-failed`, {
      method: "POST",
    });
    expect(retried.status).toBe(202);
    const [old, late] = [await follower(batch_id), await follower(batch_id, before)];
    await request(OPEN, `/api/batches/${batch_id}/cancel`, { method: "POST" });
    await carryOn(batch_id);
    expect([await old.end(), await late.end()]).toEqual([1000, 1000]);
    const whole = asFrames(await batchLines(batch_id));
    expect(old.frames).toEqual(whole);
    expect(late.frames).toEqual(whole.slice(before));
    expect(late.frames[0]).toContain('"type":"reopened"');
    expect(late.frames.at(-1)).toContain('"type":"cancelled"');
  });

  it("of another tenant's batch, of none and of one that is gone is refused", async () => {
    const key = newName();
    await sendBatch({ requests: [{ prompt: "a", retention_seconds: 60 }] }, key);
    await carryOn(key);
    expect([await status(key, "rival"), await status(newName())]).toEqual([404, 404]);
    await complete(key, 0);
    passTime(61_000);
    expect(await status(key)).toBe(410);
  });
});

describe("the events of a batch", () => {
  it("begin with where it stands, resume by cursor, and are 204 at and past the end", async () => {
    const batch_id = await halfFailed();
    const lines = await batchLines(batch_id);
    const answer = await ask(batch_id);
    expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const [hello = "", ...frames] = (await answer.text()).split(/(?<=\n\n)/);
    const [retry, data = ""] = hello.trimEnd().split("\n");
    expect(retry).toBe("retry: 2000");
    expect(BatchConnected.parse(JSON.parse(data.slice("data: ".length)))).toEqual({
      type: "connected",
      batch_id,
      status: "completed",
      last_seq: lines.length,
    });
    expect(frames).toEqual(asFrames(lines));
    for (const cursor of lines.keys()) {
      const resumed = await ask(batch_id, "?after=0", { "last-event-id": String(cursor) });
      expect((await resumed.text()).split(/(?<=\n\n)/).slice(1)).toEqual(
        asFrames(lines.slice(cursor)),
      );
    }
    for (const cursor of [lines.length, lines.length + 9]) {
      expect((await ask(batch_id, `?after=${cursor}`)).status).toBe(204);
    }
    await request(OPEN, `/api/batches/${batch_id}/retry-failed`, { method: "POST" });
    const goingOn = await ask(batch_id, `?after=${lines.length}`);
    await request(OPEN, `/api/batches/${batch_id}/cancel`, { method: "POST" });
    await carryOn(batch_id);
    expect((await goingOn.text()).split(/(?<=\n\n)/).slice(1)).toEqual(
      asFrames((await batchLines(batch_id)).slice(lines.length)),
    );
  });

  it("are pages where JSON is asked for", async () => {
    const batch_id = await halfFailed();
    const answer = await ask(batch_id, "?after=2", { accept: "application/json" });
    const page = BatchEventPage.parse(await answer.json());
    const events = await batchEvents(batch_id);
    expect(page).toEqual({
      batch_id,
      status: "completed",
      last_seq: events.length,
      has_more: false,
      events: events.slice(2),
    });
    const { batch_id: open } = await submittedBatch(1);
    const waited = await ask(open, "?after=1&wait=0", { accept: "application/json" });
    expect([waited.headers.get("retry-after"), await waited.json()]).toEqual([
      "1",
      { batch_id: open, status: "active", last_seq: 1, has_more: false, events: [] },
    ]);
  });
});

import { describe, expect, it } from "vitest";

// First, for the app must have its document's tools before there are schemas.
import { deliver as deliverMessages, request } from "./worker-side.ts";
import type { Webhook } from "../../src/domain/webhook.ts";
import type { OwedByBatch } from "../../src/ledgers/batch-rpc.ts";
import { BatchWebhookBody } from "../../src/schema/webhook-event.ts";
import { DELIVERED } from "../domain/fixtures.ts";
import {
  batch,
  batchObject,
  batchRows,
  batchView,
  carryOn,
  evictBatch,
  failJob,
  OPEN,
  submittedBatch,
  TENANT,
  toldOfItem,
  untilBatch,
} from "./batches.ts";
import { DAY_MS, holdClock, logged, passTime, queues } from "./support.ts";

holdClock();

const LIMIT_MS = 10_000;
const CLAIM_MS = 15_000;
const FAILED = { ...DELIVERED, type: "failed", status: 500, error: "HTTP 500" } as const;
const hooked = {
  webhook_url: "https://receiver.example.com/hooks",
  callback_headers: { authorization: "Bearer canary-of-the-caller" },
};

/** A batch of one item with a webhook, whose job is made. */
async function open(over: object = {}): Promise<string> {
  const requests = [{ prompt: "a", retention_seconds: 60, ...over }];
  const { batch_id } = await submittedBatch(1, { prompts: undefined, requests, ...hooked });
  await carryOn(batch_id);
  return batch_id;
}

async function ended(): Promise<string> {
  const id = await open();
  await (await batch(id)).hear(await toldOfItem(id, 0, "completed"));
  return id;
}

async function owed(id: string, token: string = crypto.randomUUID()): Promise<OwedByBatch> {
  const next = await (await batch(id)).nextDelivery(token, LIMIT_MS);
  if (next.type !== "owed") throw new Error("nothing is due");
  return next;
}

/** Whether something is due, by whoever may look and not take it. */
async function isDue(id: string): Promise<boolean> {
  const [delivery] = await deliveries(id);
  return Date.parse(delivery?.next_attempt_at ?? "") <= Date.now();
}

async function deliver(id: string, outcome: typeof DELIVERED | typeof FAILED = DELIVERED) {
  const token = crypto.randomUUID();
  const { deliveryId } = await owed(id, token);
  return (await batch(id)).settleDelivery(token, deliveryId, outcome);
}

async function deliveries(id: string) {
  const found = await (await batch(id)).deliveries(TENANT);
  if (found.type !== "found") throw new Error(`the batch is ${found.type}`);
  return found.value;
}

/** What the queues of deliveries were told of a batch. */
async function told(id: string, queue = "WEBHOOKS"): Promise<unknown[]> {
  const { name } = await batchObject(id);
  return queues.sent.flatMap(({ to, body }) => (to === queue && body.job === name ? [body] : []));
}

/** Lets the time pass until the alarm is due, and rings it. */
async function wakeWhenDue(id: string): Promise<void> {
  const { alarm } = await batchRows(id);
  passTime(Math.max(0, (alarm ?? Date.now()) - Date.now()));
  await carryOn(id);
}

describe("what a batch owes its webhook", () => {
  it("is told with its end, by names alone, and is the batch as its owner sees it then", async () => {
    const id = await open();
    expect(await told(id)).toEqual([]);
    await (await batch(id)).hear(await toldOfItem(id, 0, "completed"));
    const { name } = await batchObject(id);
    expect(await told(id)).toEqual([{ job: name, gate: expect.any(String), of: "batch" }]);
    const { body, batchId, tenant, event } = await owed(id);
    expect([batchId, tenant, event]).toEqual([id, TENANT, "batch.completed"]);
    const view = await batchView(id);
    expect(BatchWebhookBody.parse(JSON.parse(body))).toEqual({
      type: "batch.completed",
      timestamp: view.completed_at,
      data: view,
      event: "batch.completed",
      batch_id: id,
    });
    expect((await batchRows(id)).keys.filter((key) => key.startsWith("commit:"))).toHaveLength(2);
  });

  it("is told of a cancelled one too, and by its items' own webhooks nobody", async () => {
    const id = await open();
    await request(OPEN, `/api/batches/${id}/cancel`, { method: "POST" });
    await carryOn(id);
    await untilBatch(id, ({ is_complete }) => is_complete);
    const { body } = await owed(id);
    expect(JSON.parse(body)).toMatchObject({
      type: "batch.cancelled",
      data: { status: "cancelled", status_counts: { cancelled: 1 } },
    });
    expect(queues.sent.filter(({ to }) => to === "WEBHOOKS")).toEqual(
      queues.sent.filter(({ body }) => "of" in body),
    );
  });

  it("invariant 7: has the same id and bytes after an eviction, a crash amid the attempt and a replay", async () => {
    const id = await ended();
    const first = await owed(id, "died");
    expect((await (await batch(id)).nextDelivery("other", LIMIT_MS)).type).toBe("none");
    await evictBatch(id);
    const second = await owed(id, "alive");
    expect(second).toEqual(first);
    const stub = await batch(id);
    expect(await stub.settleDelivery("alive", first.deliveryId, DELIVERED)).toBe(false);
    expect(await stub.settleDelivery("alive", first.deliveryId, DELIVERED)).toBe(false);
    expect((await deliveries(id))[0]?.attempts).toHaveLength(1);
    const path = `/api/batches/${id}/deliveries`;
    const replay = await request(OPEN, `${path}/${first.deliveryId}/replay`, { method: "POST" });
    expect([replay.status, await replay.json()]).toEqual([202, (await deliveries(id))[0]]);
    expect(await owed(id)).toEqual(first);
    const none = await request(OPEN, `${path}/msg_nobody_1/replay`, { method: "POST" });
    expect(none.status).toBe(404);
  });

  it("F4: is told again by the batch's alarm until it is delivered, and the batch is kept so long (invariants 2 and 7)", async () => {
    queues.broken = true;
    const id = await ended();
    expect(await told(id)).toEqual([]);
    await evictBatch(id);
    queues.broken = false;
    // The alarm may ring early, and then tells nobody.
    for (let wakes = 0; wakes < 6; wakes++) await wakeWhenDue(id);
    expect((await told(id)).length).toBeGreaterThan(2);
    const { deliveryId } = await owed(id, "passed-over");
    passTime(CLAIM_MS);
    expect((await owed(id, "later")).deliveryId).toBe(deliveryId);
    passTime(CLAIM_MS);
    await deliver(id, FAILED);
    passTime(61_000);
    expect(await batchView(id)).toMatchObject({ status: "completed" });
    await wakeWhenDue(id);
    await deliver(id);
    expect((await request(OPEN, `/api/batches/${id}/deliveries`)).status).toBe(410);
  });

  it("that is given up is told to the operator's queue, and can be seen and replayed for a day", async () => {
    const id = await ended();
    for (let made = 0; made < 12; made++) {
      const pass = `pass-${made}`;
      for (let wakes = 0; wakes < 4 && !(await isDue(id)); wakes++) await wakeWhenDue(id);
      const { deliveryId } = await owed(id, pass);
      await (await batch(id)).settleDelivery(pass, deliveryId, FAILED);
    }
    const [given] = await deliveries(id);
    expect(given).toMatchObject({ status: "failed", next_attempt_at: null });
    const { name } = await batchObject(id);
    expect(await told(id, "WEBHOOK_DEAD_LETTERS")).toEqual([
      { job: name, gate: expect.any(String), of: "batch", delivery: given?.delivery_id },
    ]);
    const notices = await told(id, "WEBHOOK_DEAD_LETTERS");
    expect((await deliverMessages(OPEN, "webhooks-dead-letter", notices)).acked).toEqual(["0"]);
    const line = { event: "delivery.exhausted", object: name, delivery_id: given?.delivery_id };
    expect(logged.map((text) => JSON.parse(text) as object)).toContainEqual({
      ...line,
      status: 500,
    });
    passTime(DAY_MS - 60_000);
    expect(await deliveries(id)).toHaveLength(1);
    passTime(60_000);
    expect(await (await batch(id)).deliveries()).toEqual({ type: "gone" });
  });

  it("is owed once more, under another id, where failed items were tried again", async () => {
    const { batch_id: id, job_ids } = await submittedBatch(1, hooked);
    await carryOn(id);
    await failJob(job_ids[0] ?? "");
    await untilBatch(id, ({ is_complete }) => is_complete);
    await request(OPEN, `/api/batches/${id}/retry-failed`, { method: "POST" });
    expect(JSON.parse((await owed(id, "first")).body)).toMatchObject({
      data: { status: "completed", status_counts: { failed: 1 } },
    });
    await carryOn(id);
    await request(OPEN, `/api/batches/${id}/cancel`, { method: "POST" });
    await carryOn(id);
    await untilBatch(id, ({ is_complete }) => is_complete);
    passTime(CLAIM_MS);
    await deliver(id);
    const { event } = await owed(id);
    const all = await deliveries(id);
    expect([event, new Set(all.map(({ delivery_id }) => delivery_id)).size]).toEqual([
      "batch.cancelled",
      2,
    ]);
  });

  it("shows its callback headers nowhere, and is another tenant's business never", async () => {
    const id = await ended();
    const { webhook } = await owed(id);
    const views = JSON.stringify([await batchView(id), await deliveries(id), logged, webhook]);
    expect(views).not.toContain("canary-of-the-caller");
    expect(webhook satisfies Webhook).toMatchObject({ headers: expect.any(String) });
    const stub = await batch(id);
    expect(await stub.deliveries("rival")).toEqual({ type: "unknown" });
    expect(await stub.replayDelivery("msg_x", "rival")).toEqual({ type: "unknown" });
    expect(await (await batch("none")).settleDelivery("x", "msg_x", DELIVERED)).toBe(false);
  });
});

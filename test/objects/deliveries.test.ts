import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import type { JobSpec } from "../../src/domain/job.ts";
import type { Webhook } from "../../src/domain/webhook.ts";
import type { Owed } from "../../src/job/job-rpc.ts";
import type { DeliveryView } from "../../src/schema/delivery.ts";
import {
  ANSWER,
  completed,
  DAY_MS,
  holdClock,
  job,
  leased,
  newName,
  objectOf,
  partOf,
  passTime,
  queues,
  REPORT,
  REQUEST,
  specOf,
  stored,
  submitted,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const WEBHOOK: Webhook = {
  url: "https://receiver.example.com/hooks",
  gate: "gate-of-the-receiver",
  events: ["job.completed", "job.failed", "job.cancelled"],
  headers: null,
  submittedTo: "https://afterword.example.com",
  maxBodyBytes: 20_480,
};
const DELIVERED: DeliveryOutcome = {
  type: "delivered",
  status: 204,
  error: null,
  answer: "",
  latencyMs: 30,
  retryAfterMs: null,
};
const LIMIT_MS = 10_000;
const CLAIM_MS = 15_000;

function ended(overrides: Partial<JobSpec> = {}): Promise<string> {
  return withWebhook(overrides).then(async (name) => {
    await completed(name, "Rayleigh ", "scattering.");
    return name;
  });
}

function withWebhook(overrides: Partial<JobSpec> = {}): Promise<string> {
  return submitted({ webhook: WEBHOOK, ...overrides });
}

function ask(name: string, token = crypto.randomUUID()) {
  return job(name).nextDelivery(token, LIMIT_MS);
}

async function owed(name: string, token?: string): Promise<Owed> {
  const next = await ask(name, token);
  if (next.type !== "owed") throw new Error("nothing is due");
  return next;
}

async function delivered(name: string): Promise<boolean> {
  const token = crypto.randomUUID();
  const { deliveryId } = await owed(name, token);
  return job(name).settleDelivery(token, deliveryId, DELIVERED);
}

async function deliveries(name: string): Promise<DeliveryView[]> {
  const found = await job(name).deliveries();
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

async function keys(name: string): Promise<string[]> {
  return (await stored(name)).rows.map(([key]) => key);
}

/** What the queue of deliveries was told of a job. */
function told(name: string): unknown[] {
  return queues.sent
    .filter(({ to, body }) => to === "WEBHOOKS" && body.job === name)
    .map(({ body }) => body);
}

describe("what a job owes its webhook", () => {
  it("is stored in the row of its event: no row is written for it, then or ever", async () => {
    const plain = await submitted();
    await completed(plain, "Rayleigh ", "scattering.");
    const name = await ended();
    expect(await keys(name)).toEqual(await keys(plain));
    await delivered(name);
    expect(await keys(name)).toEqual(await keys(plain));
  });

  it("is told with its end, by the object's and the gate's name and no more", async () => {
    const name = await withWebhook();
    expect(told(name)).toEqual([]);
    await completed(name, "Rayleigh ", "scattering.");
    expect(told(name)).toEqual([{ job: name, gate: WEBHOOK.gate }]);
  });

  it("has the job as its owner sees it, its whole text included", async () => {
    const name = await ended();
    const body = JSON.parse((await owed(name)).body) as Record<string, unknown>;
    const found = await job(name).read(true);
    const view = found.type === "found" ? found.value : null;
    expect(body).toMatchObject({
      type: "job.completed",
      event: "job.completed",
      job_id: "test-123",
      result: { content: "Rayleigh scattering.", usage: ANSWER.usage },
    });
    expect(body["data"]).toEqual(view);
  });

  it("has the text of a cancelled job that was only shown yet", async () => {
    const name = await withWebhook();
    const { token } = await leased(name);
    await job(name).pulse(token, partOf(0, "Rayleigh "));
    await job(name).cancel("enough");
    const body: unknown = JSON.parse((await owed(name)).body);
    expect(body).toMatchObject({ reason: "enough", data: { partial_output: "Rayleigh " } });
  });

  it("invariant 7: has the same bytes after a late account, an eviction and a replay", async () => {
    const name = await withWebhook();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    await job(name).cancel("enough");
    const first = await owed(name);
    await job(name).account(token, REPORT);
    await evictDurableObject(objectOf(name));
    const second = await owed(name);
    expect(second).toEqual(first);
    await job(name).settleDelivery("pass", first.deliveryId, DELIVERED);
    await job(name).replayDelivery(first.deliveryId);
    passTime(CLAIM_MS);
    const { body, deliveryId } = await owed(name);
    expect({ body, deliveryId }).toEqual({ body: first.body, deliveryId: first.deliveryId });
    expect(await job(name).replayDelivery("msg_nobody_1")).toEqual({ type: "found", value: null });
  });
});

describe("a message that is lost", () => {
  it("F4: is sent again by the job's alarm, ever more rarely, until it is delivered (invariants 2 and 7)", async () => {
    queues.broken = true;
    const name = await ended();
    expect(told(name)).toEqual([]);
    queues.broken = false;
    for (const rings of [1, 2, 3]) {
      await wakeWhenDue(name);
      expect(told(name)).toHaveLength(rings);
    }
    await delivered(name);
    expect((await deliveries(name))[0]).toMatchObject({ status: "delivered" });
  });

  it("F4: as its object dies right after the end was written, is sent by what comes after it (invariant 7)", async () => {
    queues.broken = true;
    const name = await ended();
    await evictDurableObject(objectOf(name));
    queues.broken = false;
    await wakeWhenDue(name);
    expect(told(name)).toEqual([{ job: name, gate: WEBHOOK.gate }]);
    expect((await owed(name)).event).toBe("job.completed");
  });

  it("F5: between the receiver and the record brings the same again, and is recorded once (invariant 7)", async () => {
    const name = await ended();
    const first = await owed(name, "died");
    passTime(CLAIM_MS);
    const second = await owed(name, "alive");
    expect(second).toEqual(first);
    expect(await job(name).settleDelivery("alive", second.deliveryId, DELIVERED)).toBe(false);
    expect(await job(name).settleDelivery("alive", second.deliveryId, DELIVERED)).toBe(false);
    const [delivery] = await deliveries(name);
    expect(delivery).toMatchObject({ status: "delivered", attempts: [{ status: 204 }] });
    expect(delivery?.attempts).toHaveLength(1);
    expect(await ask(name)).toEqual({ type: "none" });
  });
});

describe("a delivery", () => {
  it("is given to one consumer at a time, and to that one again if it asks again", async () => {
    const name = await ended();
    const both = await Promise.all([ask(name, "one"), ask(name, "other")]);
    expect(both.map(({ type }) => type).toSorted()).toEqual(["none", "owed"]);
    const holder = both[0].type === "owed" ? "one" : "other";
    expect((await ask(name, holder)).type).toBe("owed");
    passTime(CLAIM_MS - 1);
    expect((await ask(name, "third")).type).toBe("none");
    passTime(1);
    expect((await ask(name, "third")).type).toBe("owed");
  });

  it("that failed is told again by the alarm when its next try is due", async () => {
    const name = await ended();
    const { deliveryId } = await owed(name, "pass");
    const failed = { ...DELIVERED, type: "failed", status: 500, error: "HTTP 500" } as const;
    expect(await job(name).settleDelivery("pass", deliveryId, failed)).toBe(false);
    expect((await ask(name)).type).toBe("none");
    const before = told(name).length;
    await wakeWhenDue(name);
    expect(told(name)).toHaveLength(before + 1);
    expect(await owed(name)).toMatchObject({ deliveryId, attempt: 2 });
  });

  it("that is given up is told to the operator's queue, once, and can be seen and replayed for a day", async () => {
    const name = await ended({ retentionMs: 1_000 });
    const failed = { ...DELIVERED, type: "failed", status: 500, error: "HTTP 500" } as const;
    for (let made = 0; made < 12; made++) {
      while ((await ask(name, `pass-${made}`)).type === "none") await wakeWhenDue(name);
      const { deliveryId } = await owed(name, `pass-${made}`);
      await job(name).settleDelivery(`pass-${made}`, deliveryId, failed);
    }
    expect(await deliveries(name)).toMatchObject([{ status: "failed", next_attempt_at: null }]);
    expect(queues.to(name).filter((to) => to === "WEBHOOK_DEAD_LETTERS")).toHaveLength(1);
    passTime(DAY_MS - 60_000);
    expect(await deliveries(name)).toMatchObject([{ status: "failed" }]);
    passTime(60_000);
    expect(await job(name).deliveries()).toEqual({ type: "unknown" });
  });
});

describe("the end of a job's life", () => {
  it("waits for what is owed, and comes right after it", async () => {
    const name = await ended({ retentionMs: 1_000 });
    passTime(60_000);
    expect(await job(name).read(false)).toMatchObject({ value: { status: "completed" } });
    await wakeWhenDue(name);
    await delivered(name);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
  });

  it("by deletion drops what is owed, and how the running attempt went changes nothing", async () => {
    const name = await ended();
    const { deliveryId } = await owed(name, "pass");
    await job(name).delete();
    const before = await stored(name);
    expect(JSON.stringify(before.rows)).not.toContain("receiver.example.com");
    expect(await job(name).settleDelivery("pass", deliveryId, DELIVERED)).toBe(false);
    expect(await stored(name)).toEqual(before);
    expect(await ask(name)).toEqual({ type: "none" });
    expect(await job(name).deliveries()).toEqual({ type: "gone" });
    expect(await job(name).replayDelivery(deliveryId)).toEqual({ type: "gone" });
  });
});

describe("a job that was stored before there were webhooks", () => {
  it("lives on, and owes nobody anything", async () => {
    const name = newName();
    await job(name).submit(specOf(), REQUEST);
    await runInDurableObject(objectOf(name), (_object, { storage }) => {
      for (const [key, commit] of storage.kv.list<{ job: { outbox?: unknown } }>()) {
        const { outbox: _, ...older } = commit.job;
        storage.kv.put(key, { ...commit, job: older });
      }
    });
    await evictDurableObject(objectOf(name));
    expect(await deliveries(name)).toEqual([]);
    await completed(name, "Rayleigh ", "scattering.");
    expect(await job(name).read(false)).toMatchObject({ value: { status: "completed" } });
    expect(await ask(name)).toEqual({ type: "none" });
    expect(told(name)).toEqual([]);
  });
});

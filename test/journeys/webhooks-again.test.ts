import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { DeliveryView } from "../../src/schema/delivery.ts";
import { expectJson, expectProblem } from "../support/api.ts";
import { freshPrompt, startJourney } from "../support/journey.ts";
import { hang } from "../support/receiver.ts";
import { VERIFIERS } from "../support/verifiers.ts";
import { startWebhookJourney } from "../support/webhook-journey.ts";

const start = () => startWebhookJourney(startJourney);
let journey: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  journey = await start();
});
afterEach(() => journey.webhooks.audit());
afterAll(() => journey.close());

/** A job whose only delivery was settled by the receiver's one answer. */
async function settled(status: number) {
  const { id, path } = await journey.webhooks.submit([status, 200]);
  const { id: deliveryId } = await journey.webhooks.settled(id, path);
  return { id, path, deliveryId };
}

async function delivered(id: string, attempts: number): Promise<DeliveryView | undefined> {
  const [only] = await journey.webhooks.deliveriesUntil(
    id,
    ([only]) => only?.status === "delivered" && only.attempts.length === attempts,
  );
  return only;
}

describe("a replay", () => {
  it.each([
    ["delivered", 200],
    ["refused for good", 410],
  ])("of what was %s brings the same event with the same id", async (_, status) => {
    const { id, path, deliveryId } = await settled(status);
    const owed = await expectJson<DeliveryView>(await journey.webhooks.replay(id, deliveryId), 202);
    expect(owed).toMatchObject({ delivery_id: deliveryId, status: "pending" });
    const [first, again] = await journey.webhooks.taken(path, 2);
    expect(again?.id).toBe(deliveryId);
    expect(again?.text).toBe(first?.text);
    expect((await delivered(id, 2))?.attempts.map((attempt) => attempt.status)).toEqual([
      status,
      200,
    ]);
  });

  it("is signed with the secret of now", async () => {
    const { id, path, deliveryId } = await settled(200);
    const { before, secret } = await journey.webhooks.rotate(0);
    await expectJson(await journey.webhooks.replay(id, deliveryId), 202);
    await journey.receiver.received(2, { path });
    const [first, again] = journey.receiver.at(path);
    if (first === undefined || again === undefined) throw new Error("it did not come");
    expect(again.text).toBe(first.text);
    for (const verify of Object.values(VERIFIERS)) {
      await verify(again, secret);
      await verify(first, before);
      await expect(verify(again, before)).rejects.toThrow();
      await expect(verify(first, secret)).rejects.toThrow();
    }
  });

  it("during a rotation is signed with both secrets, and either verifies", async () => {
    const { id, path, deliveryId } = await settled(200);
    const { before, secret } = await journey.webhooks.rotate(3_600);
    await expectJson(await journey.webhooks.replay(id, deliveryId), 202);
    await journey.receiver.received(2, { path });
    const again = journey.receiver.at(path)[1] ?? expect.fail("it did not come");
    expect(again.headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    for (const verify of Object.values(VERIFIERS)) {
      await verify(again, secret);
      await verify(again, before);
    }
    await delivered(id, 2);
    await journey.webhooks.rotate(0);
  });

  it("asked for many times at once is one delivery that is owed", async () => {
    const { id, path, deliveryId } = await settled(200);
    journey.receiver.plan(path, 500, 500, 200);
    const asked = Array.from({ length: 5 }, () => journey.webhooks.replay(id, deliveryId));
    for (const answer of await Promise.all(asked)) await expectJson(answer, 202);
    await journey.webhooks.deliveriesUntil(id, ([only]) => only?.status === "delivered");
    const taken = await journey.webhooks.taken(path, 2);
    expect(new Set(taken.map((one) => one.id))).toEqual(new Set([deliveryId]));
    expect(await journey.webhooks.deliveries(id)).toHaveLength(1);
  });

  it("of what is not there is none", async () => {
    const { id } = await settled(200);
    const unknown = ["msg_none", "x", "..%2f", "msg_AAAAAAAAAAAAAAAAAAAAAA_1"];
    for (const deliveryId of unknown) {
      const answer = await journey.webhooks.replay(id, deliveryId);
      await expectProblem(answer, 404, "delivery-not-found");
    }
    const answer = await journey.webhooks.replay("nobodys-job", "msg_none");
    await expectProblem(answer, 404, "job-not-found");
  });

  it("of a job that was deleted is none, and neither is its log", async () => {
    const { id, deliveryId } = await settled(200);
    await journey.api.delete(id);
    await expectProblem(await journey.webhooks.replay(id, deliveryId), 410, "job-gone");
    const log = await journey.api.fetch(`/api/jobs/${id}/deliveries`);
    await expectProblem(log, 410, "job-gone");
  });
});

describe("deliveries of one job", () => {
  it("come in order: what follows waits for the first, which fails", async () => {
    const job = {
      prompt: freshPrompt("[tokens=5 every=20]"),
      webhook_events: ["job.started" as const],
    };
    const { id, path } = await journey.webhooks.submit([500, 500, 200], job);
    const taken = await journey.webhooks.taken(path, 4);
    expect(taken.map(({ event }) => event.type)).toEqual([
      "job.started",
      "job.started",
      "job.started",
      "job.completed",
    ]);
    await journey.webhooks.deliveriesUntil(id, (all) =>
      all.every(({ status }) => status === "delivered"),
    );
  });

  it("are made no more once it is deleted", async () => {
    const { id, path } = await journey.webhooks.submit([500]);
    await journey.webhooks.deliveriesUntil(id, ([only]) => only?.attempts.length === 1);
    await journey.api.delete(id);
    // One that failed later has been tried three times: the deleted one would have had its turn.
    const witness = await journey.webhooks.submit([500, 500, 200]);
    await journey.webhooks.taken(witness.path, 3);
    expect(journey.receiver.at(path)).toHaveLength(1);
  });

  it("are made though it is to be kept for a second only, and then it goes", async () => {
    const job = { prompt: freshPrompt(), retention_seconds: 1 };
    const { id, path } = await journey.webhooks.submit([500, 500, 200], job);
    const taken = await journey.webhooks.taken(path, 3);
    expect(new Set(taken.map((one) => `${one.id} ${one.text}`)).size).toBe(1);
    const status = async () => (await journey.api.fetch(`/api/jobs/${id}`)).status;
    await expect.poll(status, { timeout: 20_000 }).toBe(410);
  });
});

describe("the deliveries log", () => {
  it("shows what is under way as pending, and none of where it goes", async () => {
    const { id, path } = await journey.webhooks.submit([hang]);
    await journey.receiver.received(1, { path });
    const answer = await journey.api.fetch(`/api/jobs/${id}/deliveries`);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({
      job_id: id,
      deliveries: [{ event: "job.completed", status: "pending", attempts: [] }],
    });
    expect(text).not.toContain(journey.receiver.origin);
    expect(text).not.toContain(path);
    await journey.api.delete(id);
  });

  it("of nobody's job is 404", async () => {
    const answer = await journey.api.fetch("/api/jobs/nobodys-job/deliveries");
    await expectProblem(answer, 404, "job-not-found");
  });
});

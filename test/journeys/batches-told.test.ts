import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { DeliveryView } from "../../src/schema/delivery.ts";
import { expectJson } from "../support/api.ts";
import { Batches } from "../support/batches.ts";
import { freshPrompt, startJourney } from "../support/journey.ts";
import { startWebhookJourney } from "../support/webhook-journey.ts";

const start = () => startWebhookJourney(startJourney);
let journey: Awaited<ReturnType<typeof start>>;
let batches: Batches;
beforeAll(async () => {
  journey = await start();
  batches = new Batches(journey.api);
});
afterEach(() => journey.webhooks.audit());
afterAll(() => journey.close());

async function deliveries(id: string): Promise<DeliveryView[]> {
  const answer = await journey.api.fetch(`/api/batches/${id}/deliveries`);
  return (await expectJson<{ deliveries: DeliveryView[] }>(answer, 200)).deliveries;
}

describe("a batch's webhook", () => {
  it("is told of its end by a receiver's rules: down, then up, with the same id, and once more by replay", async () => {
    const { path, webhook_url } = journey.webhooks.hook([500, 500, 200]);
    const callback_headers = { authorization: "Bearer of-the-caller" };
    const prompts = [freshPrompt(), freshPrompt("[status=400]")];
    const { batch_id } = await batches.submit({ prompts, webhook_url, callback_headers });
    const view = await batches.ended(batch_id);
    const taken = await journey.webhooks.takenOfBatch(path, 3);
    expect(new Set(taken.map(({ id, text }) => `${id} ${text}`)).size).toBe(1);
    expect(taken[0]?.event).toEqual({
      type: "batch.completed",
      timestamp: view.completed_at,
      data: view,
      event: "batch.completed",
      batch_id,
    });
    expect(view.status_counts).toMatchObject({ completed: 1, failed: 1 });
    expect(taken[0]?.headers["authorization"]).toBe("Bearer of-the-caller");
    const settled = async () => (await deliveries(batch_id)).map(({ status }) => status);
    await expect.poll(settled, { timeout: 10_000 }).toEqual(["delivered"]);
    const [delivery] = await deliveries(batch_id);
    expect(delivery?.attempts.map(({ status }) => status)).toEqual([500, 500, 200]);
    expect(JSON.stringify(delivery)).not.toContain("of-the-caller");
    const replay = `/api/batches/${batch_id}/deliveries/${delivery?.delivery_id}/replay`;
    expect((await journey.api.fetch(replay, { method: "POST" })).status).toBe(202);
    const again = await journey.webhooks.takenOfBatch(path, 4);
    expect(again[3]?.text).toBe(taken[0]?.text);
  });

  it("is told of the end that a retry of what failed brings, under another id, and of one that was cancelled", async () => {
    const { path, webhook_url } = journey.webhooks.hook([]);
    const prompts = [freshPrompt("[status=400 x1]")];
    const { batch_id } = await batches.submit({ prompts, webhook_url });
    await batches.ended(batch_id);
    await batches.retryFailed(batch_id);
    const taken = await journey.webhooks.takenOfBatch(path, 2);
    expect(taken.map(({ event }) => event.data.progress)).toEqual([0, 100]);
    expect(new Set(taken.map(({ id }) => id)).size).toBe(2);
    const cancelled = journey.webhooks.hook([]);
    const requests = [{ prompt: freshPrompt(), delay_seconds: 600 }];
    const { webhook_url: url } = cancelled;
    const stopped = await batches.submit({ requests, webhook_url: url });
    await batches.cancel(stopped.batch_id);
    const [told] = await journey.webhooks.takenOfBatch(cancelled.path, 1);
    expect(told?.event).toMatchObject({
      type: "batch.cancelled",
      batch_id: stopped.batch_id,
      data: { status: "cancelled", status_counts: { cancelled: 1 } },
    });
  });
});

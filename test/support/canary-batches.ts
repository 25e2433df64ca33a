import { expect } from "vitest";

import type { Api } from "./api.ts";
import { Batches } from "./batches.ts";
import type { Refusals } from "./refusals.ts";

/** A batch whose one item fails. */
type Failing = { requests: object[]; metadata: object; webhook_url: string };

/**
 * The life of a batch, and all that is refused about one. What its results say of failures is told as an error is.
 * `wrong`: what no answer may repeat.
 */
export async function liveInBatches(
  caller: Api,
  batch: Failing,
  { key, wrong }: { key: string; wrong: string },
  refusals: Refusals,
): Promise<void> {
  const batches = new Batches(caller);
  const { requests, webhook_url } = batch;
  // The webhook is told of batches, not of their items.
  const own = requests.map((item) =>
    Object.fromEntries(Object.entries(item).filter(([name]) => name !== "webhook_events")),
  );
  const { batch_id } = await batches.submit({ ...batch, requests: own }, key);
  expect((await batches.ended(batch_id)).status_counts.failed).toBe(1);
  await batches.retryFailed(batch_id);
  await batches.ended(batch_id);
  const results = await batches.results(batch_id);
  refusals.texts.push(...results.map((line) => JSON.stringify(line)));
  const [item] = own;
  const asked: [object, number][] = [
    [{ ...batch, requests: own, metadata: {} }, 422],
    [{ ...batch, metadata: { note: [wrong] } }, 400],
    [{ prompts: [{ text: wrong }], params: { seed: wrong } }, 400],
    [{ requests: [{ ...item, priority: wrong }] }, 400],
    [
      { requests: [{ ...item, webhook_url: webhook_url.replace(/^[^?]*/, "http://10.0.0.1") }] },
      422,
    ],
  ];
  for (const [body, status] of asked) {
    const headers = { "idempotency-key": key };
    expect(await refusals.send(caller, ["POST", "/api/batches"], body, headers)).toBe(status);
  }
  const waiting = await batches.submit({ requests: [{ ...item, delay_seconds: 600 }] });
  await batches.cancel(waiting.batch_id);
  await batches.ended(waiting.batch_id);
}

import type { Batch, BatchLogEvent } from "../domain/batch.ts";
import { batchBody } from "../domain/batch-body.ts";
import { batchViewOf } from "../domain/batch-view.ts";
import { batchWebhookEventOf, type BatchEffect } from "../domain/batch-webhook.ts";
import { nextDelivery, type Delivery } from "../domain/outbox.ts";
import type { DeliveryClaim } from "../job/delivery-claim.ts";
import { tellLater } from "../queues.ts";
import type { BatchStore } from "../storage/batch-store.ts";
import type { NextBatchDelivery } from "./batch-rpc.ts";

/** What is to be delivered of a transition that is about to be stored: a body for each delivery that is new. */
export function bodiesOf(batch: Batch, events: BatchLogEvent[]): Record<string, string> {
  const owed = new Map(batch.outbox.map((delivery) => [delivery.seq, delivery]));
  const bodies = events.flatMap((event) => {
    const name = batchWebhookEventOf(event);
    const delivery = owed.get(event.seq);
    if (name === null || delivery === undefined) return [];
    return [[delivery.id, batchBody(name, event, batchViewOf(batch))] as const];
  });
  return Object.fromEntries(bodies);
}

/** What the consumer with this token is to attempt now, for `forMs`. */
export function nextBatchDelivery(
  batch: Batch | null,
  claim: DeliveryClaim,
  claimant: { token: string; forMs: number },
  store: BatchStore,
): NextBatchDelivery {
  const now = Date.now();
  const delivery = batch === null ? null : nextDelivery(batch.outbox, now);
  if (batch === null || delivery === null || !claim.take(claimant, now)) return { type: "none" };
  return owedOf(batch, delivery, store);
}

function owedOf(
  { spec: { tenant, id: batchId, webhook } }: Batch,
  delivery: Delivery,
  store: BatchStore,
): NextBatchDelivery {
  const body = store.body(delivery);
  if (webhook === undefined || body === null) throw new Error("a delivery has lost its body");
  const { id: deliveryId, event, tries } = delivery;
  return { type: "owed", tenant, batchId, webhook, deliveryId, event, body, attempt: tries + 1 };
}

/** Tells of what is owed. Nobody waits for it: the batch's alarm does again what is lost. */
export function performForBatch(
  effect: BatchEffect,
  batch: Batch,
  ctx: DurableObjectState,
  env: Env,
): void {
  const of = "batch" as const;
  if (effect.type === "deliver") return tellLater(ctx, env, "webhook", batch, { of });
  const { deliveryId: delivery } = effect;
  return tellLater(ctx, env, "webhook_dead_letter", batch, { of, delivery });
}

import type { BatchView } from "../schema/batch.ts";
import type { BatchWebhookEvent } from "../schema/delivery.ts";
import type { BatchWebhookBody } from "../schema/webhook-event.ts";
import type { BatchLogEvent } from "./batch.ts";

/** What is sent of a batch's end: exact bytes, made once and kept. `data`: the batch as its owner saw it then. */
export function batchBody(name: BatchWebhookEvent, event: BatchLogEvent, data: BatchView): string {
  const { batch_id } = data;
  const body: BatchWebhookBody = {
    type: name,
    timestamp: event.at,
    data,
    event: name,
    batch_id,
  };
  return JSON.stringify(body);
}

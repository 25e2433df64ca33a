import type { BatchWebhookEvent } from "../schema/delivery.ts";
import type { BatchLogEvent } from "./batch.ts";
import type { Draft } from "./batch-draft.ts";
import { attempted, replayed, rungOutbox, type AttemptTold, type Delivery } from "./outbox.ts";

/** What concerns a batch's webhook alone. */
export type BatchWebhookCommand =
  /** An attempt at a delivery is over. */
  | ({ type: "settle"; jitter: number } & AttemptTold)
  /** A delivery is to be made once more. */
  | { type: "replay"; deliveryId: string }
  /** Whoever delivers is told again of what is due. */
  | { type: "ring" };

/** What is to be done once the batch is stored. Each may be lost or repeated without harm. */
export type BatchEffect = { type: "deliver" } | { type: "undelivered"; deliveryId: string };

/** What a batch's log event is called where it is delivered; null where it never is. */
export function batchWebhookEventOf({ type }: BatchLogEvent): BatchWebhookEvent | null {
  return type === "completed" || type === "cancelled" ? `batch.${type}` : null;
}

/** Carries the command out on what the batch owes its webhook. */
export function tend(draft: Draft, command: BatchWebhookCommand, now: number): void {
  const { outbox } = draft.batch;
  switch (command.type) {
    case "settle": {
      const after = attempted(outbox, command, command.jitter, now);
      const { deliveryId } = command;
      const of = ({ id }: Delivery) => id === deliveryId;
      const isGivenUp = after.find(of)?.status === "failed" && outbox.find(of)?.status !== "failed";
      if (isGivenUp) draft.effects.push({ type: "undelivered", deliveryId });
      draft.batch.outbox = after;
      return;
    }
    case "replay":
      draft.batch.outbox = replayed(outbox, command.deliveryId, now);
      break;
    case "ring":
      draft.batch.outbox = rungOutbox(outbox, now);
      break;
  }
  if (draft.batch.outbox !== outbox) draft.effects.push({ type: "deliver" });
}

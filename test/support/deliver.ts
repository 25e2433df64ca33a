import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { attemptDelivery, type Delivery, type DeliveryPorts } from "../../src/webhook.ts";

export const NEW = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
export const OLD = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;

export const BODY = JSON.stringify({
  type: "job.completed",
  data: { job_id: "1", word: "größer" },
});

/** One attempt over the real network, with time enough unless told otherwise. */
export function deliver(
  url: string,
  delivery: Partial<Delivery> = {},
  ports: Partial<DeliveryPorts> = {},
): Promise<DeliveryOutcome> {
  return attemptDelivery(
    { id: "msg_1", url, body: BODY, headers: {}, secrets: [NEW], ...delivery },
    { fetch, now: Date.now, limitMs: 10_000, ...ports },
  );
}

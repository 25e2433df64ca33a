import { z } from "zod";

/** What a webhook can be told of a job. */
export const JobWebhookEvent = z
  .enum(["job.started", "job.progress", "job.completed", "job.failed", "job.cancelled"])
  .meta({ id: "JobWebhookEvent", description: "The last three are terminal: exactly one, last." });
export type JobWebhookEvent = z.infer<typeof JobWebhookEvent>;

/** What a webhook can be told of a batch. */
export const BatchWebhookEvent = z
  .enum(["batch.completed", "batch.cancelled"])
  .meta({ id: "BatchWebhookEvent" });
export type BatchWebhookEvent = z.infer<typeof BatchWebhookEvent>;

/** All that a submission's webhook can be told. */
export const WebhookEventName = z
  .enum([...JobWebhookEvent.options, ...BatchWebhookEvent.options])
  .meta({ id: "WebhookEventName" });
export type WebhookEventName = z.infer<typeof WebhookEventName>;

export const DeliveryStatus = z
  .enum(["pending", "delivered", "failed", "gone", "superseded"])
  .meta({
    id: "DeliveryStatus",
    description:
      "`failed`: all attempts were used up. `gone`: the receiver answered 410. `superseded`: a notice that a later event has overtaken.",
  });
export type DeliveryStatus = z.infer<typeof DeliveryStatus>;

const Instant = z.iso.datetime();

/** One event owed to the receiver of a job or a batch, and how it went so far. */
export const DeliveryView = z
  .object({
    delivery_id: z.string().meta({ description: "Also the `webhook-id` of every attempt." }),
    event: WebhookEventName,
    status: DeliveryStatus,
    created_at: Instant,
    next_attempt_at: Instant.nullable(),
    attempts: z
      .array(
        z.object({
          at: Instant,
          outcome: z.enum(["delivered", "failed", "gone"]),
          status: z.int().nullable().meta({ description: "Null where there was no answer." }),
          latency_ms: z.int(),
          error: z.string().nullable(),
          answer: z.string().meta({ description: "Its first kilobyte." }),
        }),
      )
      .meta({ description: "The latest 15." }),
  })
  .meta({
    id: "Delivery",
    example: {
      delivery_id: "msg_9f0c2a7be1d84c35AbCdEf_9",
      event: "job.completed",
      status: "delivered",
      created_at: "2026-11-01T12:00:08.164Z",
      next_attempt_at: null,
      attempts: [
        {
          at: "2026-11-01T12:00:08.190Z",
          outcome: "delivered",
          status: 204,
          latency_ms: 31,
          error: null,
          answer: "",
        },
      ],
    },
  });
export type DeliveryView = z.infer<typeof DeliveryView>;

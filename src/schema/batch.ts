import { z } from "zod";

import { ModelParams, Usage } from "./chat.ts";
import { CreateJob, ErrorCode, JobResult } from "./job.ts";

export const MAX_ITEMS = 1_000;

/** Said as it is, without the field's name before it. */
export const TOO_MANY_PROMPTS = `Maximum ${MAX_ITEMS} prompts per batch`;
export const TOO_MANY_REQUESTS = `Maximum ${MAX_ITEMS} requests per batch`;
const NO_PROMPTS = "prompts must be a non-empty array";
const NO_REQUESTS = "requests must be a non-empty array";

export const BatchItem = CreateJob.safeExtend({
  custom_id: z.string().min(1).max(64).optional().meta({
    description: "The caller's own name for the item: unique in the batch, and in its results.",
  }),
}).meta({
  id: "BatchItem",
  description:
    "A job, with a name of the caller's own if they like. `dedupe_window_seconds` has no meaning here.",
});
export type BatchItem = z.infer<typeof BatchItem>;

export const CreateBatch = z
  .strictObject({
    prompts: z
      .array(z.string("prompt is required").min(1, "prompt is required"), NO_PROMPTS)
      .min(1, NO_PROMPTS)
      .max(MAX_ITEMS, TOO_MANY_PROMPTS)
      .optional(),
    requests: z
      .array(BatchItem, NO_REQUESTS)
      .min(1, NO_REQUESTS)
      .max(MAX_ITEMS, TOO_MANY_REQUESTS)
      .optional(),
    model: CreateJob.shape.model.meta({ description: "Of items that name none." }),
    params: ModelParams.optional().meta({
      description: "Of all items; an item's own come before them, one by one.",
    }),
    metadata: CreateJob.shape.metadata.meta({
      description: "The batch's, and of items that have none.",
    }),
    webhook_url: z.string().nullable().optional().meta({
      description:
        "Where `batch.completed` and `batch.cancelled` are delivered. Items may have webhooks of their own.",
    }),
    callback_headers: CreateJob.shape.callback_headers,
  })
  .superRefine((batch, context) => {
    const { prompts, requests } = batch;
    if (prompts === undefined && requests === undefined) {
      return context.addIssue({ code: "custom", path: ["prompts"], message: NO_PROMPTS });
    }
    if (prompts !== undefined && requests !== undefined) {
      const message = "exactly one of prompts and requests is required";
      return context.addIssue({ code: "custom", path: ["prompts"], message });
    }
    const seen = new Set<string>();
    for (const [index, item] of (requests ?? []).entries()) {
      const { custom_id, dedupe_window_seconds } = item;
      if (dedupe_window_seconds !== undefined) {
        const path = ["requests", index, "dedupe_window_seconds"];
        const message = "dedupe_window_seconds has no meaning in a batch";
        context.addIssue({ code: "custom", path, message });
      }
      if (custom_id === undefined) continue;
      const path = ["requests", index, "custom_id"];
      const message = "custom_id is another item's already";
      if (seen.has(custom_id)) context.addIssue({ code: "custom", path, message });
      seen.add(custom_id);
    }
  })
  .meta({
    id: "CreateBatch",
    description: "Exactly one of prompts and requests, of 1 to 1,000 items.",
    example: { prompts: ["Why is the sky blue?", "Why is grass green?"], model: "gpt-4o" },
  });
export type CreateBatch = z.infer<typeof CreateBatch>;

const Instant = z.iso.datetime();

const Accepted = {
  batch_id: z.string(),
  job_count: z.int(),
  job_ids: z.array(z.string()).meta({ description: "In the items' order." }),
  poll_url: z.string(),
  results_url: z.string(),
  events_url: z.string().meta({ description: "With a subscribe token, so it works in a browser." }),
  cancel_url: z.string(),
  created_at: Instant,
};
const acceptedExample = {
  batch_id: "nightly-42",
  job_count: 2,
  job_ids: ["job_Zm9yIGV4YW1wbGU_0", "job_Zm9yIGV4YW1wbGU_1"],
  poll_url: "/api/batches/nightly-42",
  results_url: "/api/batches/nightly-42/results",
  events_url: "/api/batches/nightly-42/events?token=kX3vQ9aB.WyJhY21lIl0.c2lnbmF0dXJl",
  cancel_url: "/api/batches/nightly-42/cancel",
  created_at: "2026-11-01T12:00:00.000Z",
};

export const BatchAccepted = z
  .object({ ...Accepted, status: z.literal("queued") })
  .meta({ id: "BatchAccepted", example: { ...acceptedExample, status: "queued" } });
export type BatchAccepted = z.infer<typeof BatchAccepted>;

export const BatchReplayed = z
  .object({ ...Accepted, status: z.literal("already_submitted"), message: z.string() })
  .meta({
    id: "BatchReplayed",
    example: {
      ...acceptedExample,
      status: "already_submitted",
      message: "Duplicate submission detected",
    },
  });
export type BatchReplayed = z.infer<typeof BatchReplayed>;

export const BatchStatus = z.enum(["active", "cancelling", "completed", "cancelled"]).meta({
  id: "BatchStatus",
  description:
    "`completed`: every item has ended, well or not. `cancelling`: items that run are being stopped.",
});
export type BatchStatus = z.infer<typeof BatchStatus>;

export const StatusCounts = z
  .object({
    completed: z.int(),
    failed: z.int(),
    active: z.int(),
    waiting: z.int(),
    cancelled: z.int(),
  })
  .meta({ id: "StatusCounts", description: "Of items. They sum to the total at every moment." });
export type StatusCounts = z.infer<typeof StatusCounts>;

const view = {
  batch_id: z.string(),
  status: BatchStatus,
  total: z.int(),
  progress: z.int().min(0).max(100).meta({ description: "Percents of items that completed." }),
  status_counts: StatusCounts,
  is_complete: z.boolean().meta({ description: "Whether every item has ended." }),
  usage: Usage,
  cost_usd: z.number().meta({ description: "Of all calls of the items that ended." }),
  created_at: Instant,
  completed_at: Instant.nullable(),
  cancelled_at: Instant.optional(),
  metadata: z.record(z.string(), z.string()),
  last_seq: z.int(),
  retained_until: Instant.optional(),
};
const viewExample = {
  batch_id: "nightly-42",
  status: "active" as const,
  total: 2,
  progress: 50,
  status_counts: { completed: 1, failed: 0, active: 1, waiting: 0, cancelled: 0 },
  is_complete: false,
  usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
  cost_usd: 0.0011,
  created_at: "2026-11-01T12:00:00.000Z",
  completed_at: null,
  metadata: {},
  last_seq: 4,
};

export const BatchView = z.object(view).meta({ id: "Batch", example: viewExample });
export type BatchView = z.infer<typeof BatchView>;

export const BatchRetried = z
  .object({ ...view, retried: z.int().meta({ description: "Items that are tried again." }) })
  .meta({ id: "BatchRetried", example: { ...viewExample, retried: 1 } });
export type BatchRetried = z.infer<typeof BatchRetried>;

/** One line of a batch's results. */
export const BatchResult = z
  .object({
    custom_id: z.string().nullable(),
    index: z.int(),
    job_id: z.string(),
    status: z.enum(["completed", "failed", "cancelled"]),
    result: JobResult.optional(),
    error: z.string().optional().meta({ description: "Why there is no result." }),
    error_code: ErrorCode.optional(),
  })
  .meta({ id: "BatchResult" });
export type BatchResult = z.infer<typeof BatchResult>;

const Envelope = { batch_id: z.string(), seq: z.int().min(1), at: Instant };
const Item = { index: z.int(), custom_id: z.string().nullable(), job_id: z.string() };
const Counted = { status_counts: StatusCounts, progress: z.int().min(0).max(100) };

export const BatchEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("queued"), ...Envelope, total: z.int() }),
    z.object({ type: z.literal("item_completed"), ...Envelope, ...Item }),
    z.object({ type: z.literal("item_failed"), ...Envelope, ...Item }),
    z.object({ type: z.literal("item_cancelled"), ...Envelope, ...Item }),
    z.object({ type: z.literal("progress"), ...Envelope, ...Counted }),
    z.object({ type: z.literal("reopened"), ...Envelope, items: z.int() }),
    z.object({ type: z.literal("completed"), ...Envelope, ...Counted }),
    z.object({ type: z.literal("cancelled"), ...Envelope, ...Counted }),
  ])
  .meta({
    id: "BatchEvent",
    description:
      "One fact of a batch's log. `seq` counts from 1 without gaps. `completed` and `cancelled` are last, unless items are tried again: then `reopened` follows.",
  });
export type BatchEvent = z.infer<typeof BatchEvent>;

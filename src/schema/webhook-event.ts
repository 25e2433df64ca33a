import { z } from "zod";

import { BatchView } from "./batch.ts";
import { BatchWebhookEvent } from "./delivery.ts";
import { ErrorCode, JobResult, JobView } from "./job.ts";

const Instant = z.iso.datetime();

/** Where the result is, in place of what would make a body too long. */
const ResultUrl = z.url().meta({
  description: "Stands for the result where the body would be too long: `GET` it with an API key.",
});

/** The job as it was when the event happened, whatever became of it since. */
const ToldJob = z
  .object({ ...JobView.shape, result_url: ResultUrl.optional() })
  .meta({ id: "ToldJob", description: "A job as `readJob` would have answered then." });

const example = JobView.meta()?.["example"] as JobView;

/** Standard Webhooks' fields, and beside them what most receivers look for. */
function told<Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) {
  return z.object({
    type: z.literal(type),
    timestamp: Instant.meta({ description: "When it happened: the same on every attempt." }),
    data: ToldJob,
    event: z.literal(type).meta({ description: "The same as `type`." }),
    job_id: z.string(),
    submitted_at: Instant,
    ...fields,
  });
}

export const JobStartedEvent = told("job.started", {
  attempt: z.int().min(1),
  model: z.string(),
  provider: z.string(),
  started_at: Instant,
}).meta({ id: "JobStartedEvent" });

export const JobProgressEvent = told("job.progress", {
  progress: z.int().min(0).max(100),
  step: z.string(),
}).meta({ id: "JobProgressEvent" });

export const JobCompletedEvent = told("job.completed", {
  result: JobResult.optional(),
  result_url: ResultUrl.optional(),
  completed_at: Instant,
})
  .refine(({ result, result_url }) => (result === undefined) !== (result_url === undefined))
  .meta({
    id: "JobCompletedEvent",
    description: "Either `result` or `result_url`.",
    example: {
      type: "job.completed",
      timestamp: example.completed_at,
      data: example,
      event: "job.completed",
      job_id: example.job_id,
      result: example.result,
      submitted_at: example.submitted_at,
      completed_at: example.completed_at,
    },
  });

export const JobFailedEvent = told("job.failed", {
  error: z.string(),
  error_code: ErrorCode,
  attempts: z.int(),
  failed_at: Instant,
}).meta({ id: "JobFailedEvent" });

export const JobCancelledEvent = told("job.cancelled", {
  reason: z.string(),
  cancelled_at: Instant,
}).meta({ id: "JobCancelledEvent" });

/** The batch as it was when it ended; tried again, it may end once more. */
function toldOfBatch<Type extends string>(type: Type, id: string, view: BatchView) {
  const example = {
    type,
    timestamp: "2026-11-01T12:00:08.164Z",
    data: view,
    event: type,
    batch_id: view.batch_id,
  };
  return z
    .object({
      type: z.literal(type),
      timestamp: Instant.meta({ description: "When it ended: the same on every attempt." }),
      data: BatchView,
      event: z.literal(type).meta({ description: "The same as `type`." }),
      batch_id: z.string(),
    })
    .meta({ id, example });
}

const openExample = BatchView.meta()?.["example"] as BatchView;
const endedExample: BatchView = {
  ...openExample,
  progress: 100,
  status_counts: { ...openExample.status_counts, completed: openExample.total, active: 0 },
  is_complete: true,
};

export const BatchCompletedEvent = toldOfBatch("batch.completed", "BatchCompletedEvent", {
  ...endedExample,
  status: "completed",
  completed_at: "2026-11-01T12:00:08.164Z",
});

export const BatchCancelledEvent = toldOfBatch("batch.cancelled", "BatchCancelledEvent", {
  ...endedExample,
  status: "cancelled",
  cancelled_at: "2026-11-01T12:00:08.164Z",
});

/** What a batch's webhook is sent. */
export const BatchWebhookBody = z.object({
  ...BatchCompletedEvent.shape,
  type: BatchWebhookEvent,
  event: BatchWebhookEvent,
});
export type BatchWebhookBody = z.infer<typeof BatchWebhookBody>;

/** What a job's webhook is sent, by its type. */
export const JobWebhookBody = z.discriminatedUnion("type", [
  JobStartedEvent,
  JobProgressEvent,
  JobCompletedEvent,
  JobFailedEvent,
  JobCancelledEvent,
]);
export type JobWebhookBody = z.infer<typeof JobWebhookBody>;

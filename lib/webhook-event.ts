import type { Batch, ErrorCode, Job, JobResult } from "./api-types.ts";

/** Over 20 KB a delivery holds the answer's address in the answer's place. */
type ResultOrAddress =
  | { result: JobResult; result_url?: never }
  | { result?: never; result_url: string };

type Told<Type extends string, Data> = {
  type: Type;
  /** When it happened (RFC 3339, UTC): the same on every attempt at the delivery. */
  timestamp: string;
  data: Data;
  /** The same as `type`. */
  event: Type;
};

/** `data` is the job as it was then; the fields beside it repeat what most receivers look for. */
type OfJob<Type extends string, Data = Job> = Told<Type, Data> & {
  job_id: string;
  submitted_at: string;
};

/** Sent only to those who ask for it (`webhook_events`): a model was called. May come once for each attempt. */
export type JobStarted = OfJob<"job.started"> & {
  /** From 1. */
  attempt: number;
  model: string;
  provider: string;
  started_at: string;
};

/** Sent only to those who ask for it, and at most every 500 ms. */
export type JobProgress = OfJob<"job.progress"> & {
  /** 0 to 100. */
  progress: number;
  step: string;
};

/** The model has answered. Over 20 KB, `result_url` stands for `result`, here and in `data`. */
export type JobCompleted = OfJob<"job.completed", Job & ResultOrAddress> &
  ResultOrAddress & { completed_at: string };

/** Every attempt has failed. */
export type JobFailed = OfJob<"job.failed"> & {
  /** For people. */
  error: string;
  /** For programs. */
  error_code: ErrorCode;
  attempts: number;
  failed_at: string;
};

/** Somebody ended the job before its end. Over 20 KB, `data.result_url` stands for `data.partial_output`. */
export type JobCancelled = OfJob<"job.cancelled", Job & { result_url?: string }> & {
  reason: string;
  cancelled_at: string;
};

/** `data` is the batch as it was when it ended. */
type OfBatch<Type extends string> = Told<Type, Batch> & { batch_id: string };

/** Every item of a batch has ended, well or not. Comes again where failed items were tried again. */
export type BatchCompleted = OfBatch<"batch.completed">;

/** Somebody cancelled a batch, and its last item has ended. */
export type BatchCancelled = OfBatch<"batch.cancelled">;

/** The sample that `POST /api/webhook-test` sends. */
export type WebhookTest = Told<"webhook.test", Record<string, unknown>>;

/** For the operator: the dead letters have risen above the threshold. `groups`: the largest, by cause. */
export type DeadLetterThreshold = Told<
  "dead_letter.threshold",
  {
    depth: number;
    threshold: number;
    groups: {
      fingerprint: string;
      error_code: ErrorCode;
      error: string;
      provider: string;
      count: number;
    }[];
    list_url: string;
  }
>;

declare const unlisted: unique symbol;

/**
 * An event of a type that did not exist when this version was built. Answer it with 2xx and leave it be. At run time
 * its type is a plain string; the mark is there so that `event.type === "job.completed"` rules this one out.
 */
export type UnlistedEvent = {
  // oxlint-disable-next-line typescript/no-unnecessary-template-expression -- Without it the mark rules out nothing.
  type: `${string & { readonly [unlisted]: true }}`;
  timestamp: string;
  data: unknown;
};

/** What a delivery tells, by its `type`. */
export type WebhookEvent =
  | JobStarted
  | JobProgress
  | JobCompleted
  | JobFailed
  | JobCancelled
  | BatchCompleted
  | BatchCancelled
  | WebhookTest
  | DeadLetterThreshold
  | UnlistedEvent;

import { z } from "zod";

import { JobWebhookEvent } from "./delivery.ts";
import { ChatMessage, ModelParams, ToolCall, Usage } from "./chat.ts";
import { type KeptStep, MAX_STEPS, Step, WaitingFor } from "./step.ts";

export const JobStatus = z
  .enum(["queued", "active", "completed", "failed", "cancelled"])
  .meta({ id: "JobStatus", description: "The last three are terminal: a job never leaves them." });
export type JobStatus = z.infer<typeof JobStatus>;

export const Tier = z.enum(["enterprise", "pro", "free", "default"]);
export type Tier = z.infer<typeof Tier>;

export const Profile = z.enum(["default", "interactive", "long_running"]);
export type Profile = z.infer<typeof Profile>;

export const ErrorCode = z
  .enum([
    "provider_rejected",
    "provider_unavailable",
    "rate_limited",
    "timeout",
    "content_filter",
    "empty_response",
    "budget",
    "expired",
    "stalled",
    "internal",
  ])
  .meta({ id: "ErrorCode", description: "Why a job failed, for programs." });
export type ErrorCode = z.infer<typeof ErrorCode>;

const ModelName = z.string().min(1).max(200);

/** Most fallbacks one job may name: with `max_attempts` 10 it stays below a queue's 100 redeliveries. */
const MAX_FALLBACKS = 4;

const oneOf = "exactly one of prompt, messages and steps is required";

export const CreateJob = z
  .strictObject({
    prompt: z.string("prompt is required").min(1, "prompt is required").optional(),
    messages: z.array(ChatMessage).min(1).max(2048).optional(),
    steps: z.array(Step).min(1).max(MAX_STEPS).optional().meta({
      description: "Done one after another. What they have in common is said for the job.",
    }),
    input: z.unknown().optional().meta({
      description: "Any JSON value, for the templates of the steps: `{{input.…}}`.",
    }),
    model: ModelName.optional().meta({
      description: "A configured model, or `<provider>/<model>`. Default `gpt-4o`.",
    }),
    params: ModelParams.optional(),
    fallback_models: z.array(ModelName).max(MAX_FALLBACKS).optional().meta({
      description: "Tried in order when the model before is out of attempts or unavailable.",
    }),
    webhook_url: z.string().nullable().optional().meta({
      description:
        "Where the job's events are delivered: https, port 443 or 8443, a public host name. Null: nowhere.",
    }),
    callback_headers: z.record(z.string(), z.string()).nullable().optional().meta({
      description: "Sent with each delivery. Write-only: the values are never shown again.",
    }),
    webhook_events: z.array(JobWebhookEvent).max(5).optional().meta({
      description:
        "Sent besides the terminal events, which always are: `job.started`, `job.progress`.",
    }),
    priority: z.int().min(1).max(10).optional().meta({
      description:
        "1 is soonest. May not be better than the tier's own. It chooses the lane, and goes before among the tenant's own jobs that wait in it.",
    }),
    profile: Profile.optional(),
    max_attempts: z.int().min(1).max(10).optional().meta({
      description: "Calls each model may get. Default 3; profile `long_running` 2.",
    }),
    timeout_ms: z.int().min(1_000).max(600_000).optional().meta({
      description: "One attempt's limit. Default 90 000; profile `long_running` 600 000.",
    }),
    max_cost_usd: z.number().positive().max(1_000_000).optional().meta({
      description:
        "What all its calls together may cost. At the cap it fails with `budget`, and keeps the text so far.",
    }),
    delay_seconds: z.int().min(0).max(2_592_000).optional(),
    ttl_seconds: z.int().min(1).max(2_592_000).optional().meta({
      description: "Fails with `expired` if not started this long after it is due. Default 86 400.",
    }),
    dedupe_window_seconds: z.int().min(0).max(86_400).optional().meta({
      description:
        "Without an Idempotency-Key: within this window the same user, model, input and params are the same job. Default 0: off.",
    }),
    user: z.string().min(1).max(256).optional(),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(512))
      .refine((pairs) => Object.keys(pairs).length <= 16, "metadata may have at most 16 pairs")
      .optional(),
    retention_seconds: z.int().min(1).max(31_536_000).optional().meta({
      description: "How long the job is kept after its end. Default 86 400; failed 604 800.",
    }),
  })
  .superRefine((job, context) => {
    const given = [job.prompt, job.messages, job.steps].filter((one) => one !== undefined).length;
    const issue = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (given !== 1) issue("prompt", given === 0 ? "prompt is required" : oneOf);
    if (job.input !== undefined && job.steps === undefined) issue("input", "input needs steps");
  })
  .meta({
    id: "CreateJob",
    description: oneOf,
    example: { prompt: "Why is the sky blue?", model: "gpt-4o", metadata: { page: "faq" } },
  });
export type CreateJob = z.infer<typeof CreateJob>;

/** A submission as it is kept: the values of its headers are kept apart from it, sealed. */
export type KeptRequest = Omit<CreateJob, "callback_headers" | "steps"> & {
  callback_headers?: never;
  steps?: KeptStep[] | undefined;
};

const Instant = z.iso.datetime();

const Accepted = {
  job_id: z.string(),
  poll_url: z.string(),
  websocket_url: z.string(),
  events_url: z.string(),
  cancel_url: z.string(),
  subscribe_token: z.string().meta({
    description: "Lets a browser follow this job, for minutes. `events_url` holds it already.",
  }),
  priority: Tier,
  priority_level: z.int(),
  estimated_wait: z.int().meta({
    description: "Seconds until its first call is likely to begin; 86400: not known.",
  }),
  submitted_at: Instant,
};

const acceptedExample = {
  job_id: "test-123",
  poll_url: "/api/jobs/test-123",
  websocket_url: "/ws/jobs/test-123",
  events_url: "/api/jobs/test-123/events?token=kX3vQ9aB.WyJhY21lIiwidGVzdC0xMjMiXQ.c2lnbmF0dXJl",
  cancel_url: "/api/jobs/test-123/cancel",
  subscribe_token: "kX3vQ9aB.WyJhY21lIiwidGVzdC0xMjMiXQ.c2lnbmF0dXJl",
  priority: "pro",
  priority_level: 3,
  estimated_wait: 0,
  submitted_at: "2026-11-01T12:00:00.000Z",
};

export const JobAccepted = z
  .object({ ...Accepted, status: z.literal("queued") })
  .meta({ id: "JobAccepted", example: { ...acceptedExample, status: "queued" } });
export type JobAccepted = z.infer<typeof JobAccepted>;

export const JobReplayed = z
  .object({ ...Accepted, status: z.literal("already_submitted"), message: z.string() })
  .meta({
    id: "JobReplayed",
    example: {
      ...acceptedExample,
      status: "already_submitted",
      message: "Duplicate submission detected",
    },
  });
export type JobReplayed = z.infer<typeof JobReplayed>;

export const JobResult = z
  .object({
    content: z.string(),
    model: z.string().meta({ description: "As the provider names it." }),
    finish_reason: z.string(),
    tool_calls: z.array(ToolCall),
    usage: Usage.nullable(),
  })
  .meta({ id: "JobResult", description: "A model's answer." });
export type JobResult = z.infer<typeof JobResult>;

/** One call to a model, as its job's owner sees it. */
export const AttemptView = z
  .object({
    attempt: z.int().min(1),
    step: z.string().optional().meta({ description: "Of a job that has several." }),
    model: z.string(),
    provider: z.string(),
    status: z.enum(["active", "completed", "failed", "cancelled"]),
    started_at: Instant,
    ended_at: Instant.nullable(),
    usage: Usage.nullable(),
    cost_usd: z.number().nullable(),
    error: z.string().optional(),
    error_code: ErrorCode.optional(),
    timings: z.object({ ttft_ms: z.int().nullable(), provider_ms: z.int().nullable() }),
  })
  .meta({ id: "Attempt" });
export type AttemptView = z.infer<typeof AttemptView>;

export const JobView = z
  .object({
    job_id: z.string(),
    status: JobStatus,
    submitted_at: Instant,
    model: z.string(),
    provider: z.string(),
    priority: Tier,
    priority_level: z.int(),
    progress: z.int().min(0).max(100),
    step: z.string().nullable(),
    attempts_made: z.int(),
    last_seq: z.int(),
    user: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    batch_id: z.string().nullable(),
    batch_index: z.int().optional().meta({ description: "Its place in the batch, from 0." }),
    batch_total: z.int().optional(),
    replay_of: z.string().nullable(),
    cost_usd: z.number().nullable().meta({ description: "The calls that gave the answer." }),
    wasted_cost_usd: z.number().meta({ description: "Calls whose answer was lost." }),
    max_cost_usd: z.number().optional().meta({ description: "As it was submitted." }),
    run_at: Instant.optional(),
    retry_at: Instant.optional(),
    queue_position: z.int().optional().meta({
      description: "While queued: how many jobs go before it, as far as is known.",
    }),
    estimated_wait: z.int().optional().meta({
      description:
        "While queued: seconds until its next call is likely to begin; 86400: not known.",
    }),
    started_at: Instant.optional(),
    waiting_for: WaitingFor.optional(),
    partial_output: z.string().optional(),
    result: JobResult.optional(),
    completed_at: Instant.optional(),
    processing_time_ms: z.int().optional(),
    timings: z
      .object({
        queue_ms: z.int(),
        ttft_ms: z.int().nullable(),
        provider_ms: z.int().nullable(),
      })
      .optional(),
    error: z.string().optional(),
    error_code: ErrorCode.optional(),
    failed_at: Instant.optional(),
    dlq_id: z.string().optional().meta({ description: "Its dead letter." }),
    cancelled_at: Instant.optional(),
    reason: z.string().optional(),
    usage: Usage.optional().meta({
      description:
        "Of a job that was cancelled or reached `max_cost_usd`: all its calls, as far as known.",
    }),
    retained_until: Instant.optional(),
  })
  .meta({
    id: "Job",
    description:
      "As its owner sees it. Instants are RFC 3339 in UTC, spans milliseconds, `estimated_wait` seconds, costs US dollars. A field that has no value yet is absent, unless it may be null.",
    example: {
      job_id: "test-123",
      status: "completed",
      submitted_at: "2026-11-01T12:00:00.000Z",
      model: "gpt-4o",
      provider: "openai",
      priority: "pro",
      priority_level: 3,
      progress: 100,
      step: "Complete",
      attempts_made: 1,
      last_seq: 9,
      user: null,
      metadata: {},
      batch_id: null,
      replay_of: null,
      cost_usd: 0.0011,
      wasted_cost_usd: 0,
      started_at: "2026-11-01T12:00:00.041Z",
      completed_at: "2026-11-01T12:00:08.164Z",
      processing_time_ms: 8123,
      result: {
        content: "Because air scatters blue light more than red.",
        model: "gpt-4o-2024-08-06",
        finish_reason: "stop",
        tool_calls: [],
        usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
      },
      timings: { queue_ms: 41, ttft_ms: 620, provider_ms: 7700 },
      retained_until: "2026-11-02T12:00:08.164Z",
    },
  });
export type JobView = z.infer<typeof JobView>;

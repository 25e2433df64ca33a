// Made by scripts/api-types.ts from src/schema/: `npm run types`.

/** exactly one of prompt, messages and steps is required */
export type CreateJob = {
  prompt?: string;
  messages?: ChatMessage[];
  /** Done one after another. What they have in common is said for the job. */
  steps?: Step[];
  /** Any JSON value, for the templates of the steps: `{{input.…}}`. */
  input?: unknown;
  /** A configured model, or `<provider>/<model>`. Default `gpt-4o`. */
  model?: string;
  params?: ModelParams;
  /** Tried in order when the model before is out of attempts or unavailable. */
  fallback_models?: string[];
  /** Where the job's events are delivered: https, port 443 or 8443, a public host name. Null: nowhere. */
  webhook_url?: string | null;
  /** Sent with each delivery. Write-only: the values are never shown again. */
  callback_headers?: Record<string, string> | null;
  /** Sent besides the terminal events, which always are: `job.started`, `job.progress`. */
  webhook_events?: JobWebhookEvent[];
  /** 1 is soonest. May not be better than the tier's own. It chooses the lane, and goes before among the tenant's own jobs that wait in it. */
  priority?: number;
  profile?: "default" | "interactive" | "long_running";
  /** Calls each model may get. Default 3; profile `long_running` 2. */
  max_attempts?: number;
  /** One attempt's limit. Default 90 000; profile `long_running` 600 000. */
  timeout_ms?: number;
  /** What all its calls together may cost. At the cap it fails with `budget`, and keeps the text so far. */
  max_cost_usd?: number;
  delay_seconds?: number;
  /** Fails with `expired` if not started this long after it is due. Default 86 400. */
  ttl_seconds?: number;
  /** Without an Idempotency-Key: within this window the same user, model, input and params are the same job. Default 0: off. */
  dedupe_window_seconds?: number;
  user?: string;
  metadata?: Record<string, string>;
  /** How long the job is kept after its end. Default 86 400; failed 604 800. */
  retention_seconds?: number;
};

export type JobAccepted = {
  job_id: string;
  poll_url: string;
  websocket_url: string;
  events_url: string;
  cancel_url: string;
  /** Lets a browser follow this job, for minutes. `events_url` holds it already. */
  subscribe_token: string;
  priority: "enterprise" | "pro" | "free" | "default";
  priority_level: number;
  /** Seconds until its first call is likely to begin; 86400: not known. */
  estimated_wait: number;
  submitted_at: string;
  status: "queued";
};

export type JobReplayed = {
  job_id: string;
  poll_url: string;
  websocket_url: string;
  events_url: string;
  cancel_url: string;
  /** Lets a browser follow this job, for minutes. `events_url` holds it already. */
  subscribe_token: string;
  priority: "enterprise" | "pro" | "free" | "default";
  priority_level: number;
  /** Seconds until its first call is likely to begin; 86400: not known. */
  estimated_wait: number;
  submitted_at: string;
  status: "already_submitted";
  message: string;
};

/** As its owner sees it. Instants are RFC 3339 in UTC, spans milliseconds, `estimated_wait` seconds, costs US dollars. A field that has no value yet is absent, unless it may be null. */
export type Job = {
  job_id: string;
  status: JobStatus;
  submitted_at: string;
  model: string;
  provider: string;
  priority: "enterprise" | "pro" | "free" | "default";
  priority_level: number;
  progress: number;
  step: string | null;
  attempts_made: number;
  last_seq: number;
  user: string | null;
  metadata: Record<string, string>;
  batch_id: string | null;
  /** Its place in the batch, from 0. */
  batch_index?: number;
  batch_total?: number;
  replay_of: string | null;
  /** The calls that gave the answer. */
  cost_usd: number | null;
  /** Calls whose answer was lost. */
  wasted_cost_usd: number;
  /** As it was submitted. */
  max_cost_usd?: number;
  run_at?: string;
  retry_at?: string;
  /** While queued: how many jobs go before it, as far as is known. */
  queue_position?: number;
  /** While queued: seconds until its next call is likely to begin; 86400: not known. */
  estimated_wait?: number;
  started_at?: string;
  /** Somebody's answer, by `POST /api/jobs/:id/input`. */
  waiting_for?: {
    type: "approval";
    step: string;
    /** Names what is asked, in its answer. */
    request_id: string;
    message: string;
    expires_at: string;
  };
  partial_output?: string;
  result?: JobResult;
  completed_at?: string;
  processing_time_ms?: number;
  timings?: {
    queue_ms: number;
    ttft_ms: number | null;
    provider_ms: number | null;
  };
  error?: string;
  error_code?: ErrorCode;
  failed_at?: string;
  /** Its dead letter. */
  dlq_id?: string;
  cancelled_at?: string;
  reason?: string;
  /** Of a job that was cancelled or reached `max_cost_usd`: all its calls, as far as known. */
  usage?: Usage;
  retained_until?: string;
};

export type JobListQuery = {
  status?: JobStatus;
  /** The model asked for, as it was named at submission. */
  model?: string;
  /** Only jobs submitted later than this instant. */
  created_after?: string;
  limit?: number;
  /** `next_cursor` of the page before, with the same filters. */
  cursor?: string;
};

export type JobList = {
  jobs: ListedJob[];
  /** Whether to ask for another page. With `status` queued or active a page may hold fewer jobs than `limit`, even none, and there may still be more. */
  has_more: boolean;
  next_cursor: string | null;
};

/** One fact of a job's log. `seq` counts from 1 without gaps and is the same for every reader. */
export type JobEvent =
  | {
      type: "queued";
      job_id: string;
      seq: number;
      at: string;
      priority: "enterprise" | "pro" | "free" | "default";
      run_at?: string;
    }
  | {
      type: "started";
      job_id: string;
      seq: number;
      at: string;
      attempt: number;
      model: string;
      provider: string;
    }
  | {
      type: "progress";
      job_id: string;
      seq: number;
      at: string;
      progress: number;
      step: string;
    }
  | {
      type: "step_started";
      job_id: string;
      seq: number;
      at: string;
      step: string;
      index: number;
      /** Of an approval: names it in its answer. */
      request_id?: string;
      /** Of an approval: what is asked. */
      message?: string;
      expires_at?: string;
    }
  | {
      type: "step_completed";
      job_id: string;
      seq: number;
      at: string;
      step: string;
      index: number;
      /** Whose text is its output. Null: it took none. */
      attempt: number | null;
      output_bytes: number;
      /** Of an approval: its answer. */
      output?: string;
      /** The job that this one repeats has finished it. */
      carried?: true;
    }
  | {
      type: "delta";
      job_id: string;
      seq: number;
      at: string;
      delta: string;
      attempt: number;
    }
  | {
      type: "attempt_failed";
      job_id: string;
      seq: number;
      at: string;
      attempt: number;
      error: string;
      error_code: ErrorCode;
      retry_at: string | null;
    }
  | {
      type: "completed";
      job_id: string;
      seq: number;
      at: string;
      result: JobResult;
      completed_at: string;
    }
  | {
      type: "failed";
      job_id: string;
      seq: number;
      at: string;
      error: string;
      error_code: ErrorCode;
      attempts: number;
    }
  | {
      type: "cancelled";
      job_id: string;
      seq: number;
      at: string;
      reason: string;
    };

export type Connected = {
  type: "connected";
  job_id: string;
  status: JobStatus;
  last_seq: number;
};

export type EventPage = {
  job_id: string;
  status: JobStatus;
  last_seq: number;
  has_more: boolean;
  events: JobEvent[];
};

export type Attempt = {
  attempt: number;
  /** Of a job that has several. */
  step?: string;
  model: string;
  provider: string;
  status: "active" | "completed" | "failed" | "cancelled";
  started_at: string;
  ended_at: string | null;
  usage: Usage | null;
  cost_usd: number | null;
  error?: string;
  error_code?: ErrorCode;
  timings: {
    ttft_ms: number | null;
    provider_ms: number | null;
  };
};

export type StepView = {
  name: string;
  type: "llm" | "http" | "template" | "approval";
  weight: number;
  status: StepStatus;
  /** How many were made at it by this job. */
  attempts: number;
  started_at: string | null;
  completed_at: string | null;
  /** Up to 20 KB. */
  output?: string;
  output_bytes?: number;
  /** The output is longer than is shown; it is in the events of the job that made it. */
  truncated?: true;
  /** The job that this one repeats has finished it. */
  carried?: true;
  model?: string;
  usage?: Usage | null;
  /** All its calls, those for nothing too. */
  cost_usd?: number;
  error?: string;
  error_code?: ErrorCode;
  /** Of an approval: names what is asked. */
  request_id?: string;
};

export type JobInput = {
  /** As `waiting_for` tells it. */
  request_id: string;
  /** False cancels the job. */
  approved: boolean;
  comment?: string;
  /** Any JSON value, for the steps that follow: `{{steps.<name>.json.data.…}}`. */
  data?: unknown;
};

/** Exactly one of prompts and requests, of 1 to 1,000 items. */
export type CreateBatch = {
  prompts?: string[];
  requests?: BatchItem[];
  /** Of items that name none. */
  model?: string;
  /** Of all items; an item's own come before them, one by one. */
  params?: ModelParams;
  /** The batch's, and of items that have none. */
  metadata?: Record<string, string>;
  /** Where `batch.completed` and `batch.cancelled` are delivered. Items may have webhooks of their own. */
  webhook_url?: string | null;
  /** Sent with each delivery. Write-only: the values are never shown again. */
  callback_headers?: Record<string, string> | null;
};

export type BatchAccepted = {
  batch_id: string;
  job_count: number;
  /** In the items' order. */
  job_ids: string[];
  poll_url: string;
  results_url: string;
  /** With a subscribe token, so it works in a browser. */
  events_url: string;
  cancel_url: string;
  created_at: string;
  status: "queued";
};

export type BatchReplayed = {
  batch_id: string;
  job_count: number;
  /** In the items' order. */
  job_ids: string[];
  poll_url: string;
  results_url: string;
  /** With a subscribe token, so it works in a browser. */
  events_url: string;
  cancel_url: string;
  created_at: string;
  status: "already_submitted";
  message: string;
};

export type Batch = {
  batch_id: string;
  status: BatchStatus;
  total: number;
  /** Percents of items that completed. */
  progress: number;
  status_counts: StatusCounts;
  /** Whether every item has ended. */
  is_complete: boolean;
  usage: Usage;
  /** Of all calls of the items that ended. */
  cost_usd: number;
  created_at: string;
  completed_at: string | null;
  cancelled_at?: string;
  metadata: Record<string, string>;
  last_seq: number;
  retained_until?: string;
};

export type BatchRetried = {
  batch_id: string;
  status: BatchStatus;
  total: number;
  /** Percents of items that completed. */
  progress: number;
  status_counts: StatusCounts;
  /** Whether every item has ended. */
  is_complete: boolean;
  usage: Usage;
  /** Of all calls of the items that ended. */
  cost_usd: number;
  created_at: string;
  completed_at: string | null;
  cancelled_at?: string;
  metadata: Record<string, string>;
  last_seq: number;
  retained_until?: string;
  /** Items that are tried again. */
  retried: number;
};

export type BatchResult = {
  custom_id: string | null;
  index: number;
  job_id: string;
  status: "completed" | "failed" | "cancelled";
  result?: JobResult;
  /** Why there is no result. */
  error?: string;
  error_code?: ErrorCode;
};

export type Delivery = {
  /** Also the `webhook-id` of every attempt. */
  delivery_id: string;
  event: WebhookEventName;
  status: DeliveryStatus;
  created_at: string;
  next_attempt_at: string | null;
  /** The latest 15. */
  attempts: {
    at: string;
    outcome: "delivered" | "failed" | "gone";
    /** Null where there was no answer. */
    status: number | null;
    latency_ms: number;
    error: string | null;
    /** Its first kilobyte. */
    answer: string;
  }[];
};

export type Subscription = {
  subscribe_token: string;
  /** With the token, as an EventSource wants it. */
  events_url: string;
  expires_at: string;
};

export type Problem = {
  /** A URI that names the kind of problem. */
  type: string;
  title: string;
  status: number;
  detail: string;
  code:
    | "invalid-request"
    | "unauthorized"
    | "budget-exceeded"
    | "forbidden"
    | "job-not-found"
    | "batch-not-found"
    | "dead-letter-not-found"
    | "delivery-not-found"
    | "provider-not-found"
    | "operation-not-found"
    | "tenant-not-found"
    | "key-not-found"
    | "not-found"
    | "input-already-given"
    | "input-not-awaited"
    | "job-not-retryable"
    | "batch-cancelled"
    | "tenant-exists"
    | "too-many-keys"
    | "dead-letter-refused"
    | "job-gone"
    | "batch-gone"
    | "payload-too-large"
    | "unsupported-media-type"
    | "idempotency-key-reused"
    | "webhook-url-rejected"
    | "step-url-rejected"
    | "upgrade-required"
    | "too-many-requests"
    | "headers-too-large"
    | "internal-error"
    | "unavailable"
    | "intake-paused";
  request_id: string;
  errors?: {
    pointer: string;
    detail: string;
    /** Of the item of a batch. */
    index?: number;
  }[];
  error: string;
};

export type ChatMessage =
  | {
      role: "system";
      content:
        | string
        | {
            type: "text";
            text: string;
          }[];
      name?: string;
    }
  | {
      role: "developer";
      content:
        | string
        | {
            type: "text";
            text: string;
          }[];
      name?: string;
    }
  | {
      role: "user";
      content:
        | string
        | (
            | {
                type: "text";
                text: string;
              }
            | {
                type: "image_url";
                image_url: {
                  url: string;
                  detail?: "auto" | "low" | "high";
                };
              }
            | {
                type: "input_audio";
                input_audio: {
                  data: string;
                  format: "wav" | "mp3";
                };
              }
            | {
                type: "file";
                file: {
                  file_id?: string;
                  file_data?: string;
                  filename?: string;
                };
              }
          )[];
      name?: string;
    }
  | {
      role: "assistant";
      content?:
        | string
        | {
            type: "text";
            text: string;
          }[]
        | null;
      name?: string;
      tool_calls?: ToolCall[];
      refusal?: string | null;
    }
  | {
      role: "tool";
      content:
        | string
        | {
            type: "text";
            text: string;
          }[];
      tool_call_id: string;
    };

/** One step of a job that has several. */
export type Step =
  | {
      type: "llm";
      name: string;
      /** Its part of the progress. Default 1. */
      weight?: number;
      /** Default: the job's. */
      max_attempts?: number;
      /** One attempt's limit. Default: the job's; `http` 30 000. */
      timeout_ms?: number;
      prompt?: string;
      messages?: ChatMessage[];
      /** Default: the job's. */
      model?: string;
      /** Default: the job's. */
      params?: ModelParams;
      fallback_models?: string[];
    }
  | {
      type: "http";
      name: string;
      /** Its part of the progress. Default 1. */
      weight?: number;
      /** Default: the job's. */
      max_attempts?: number;
      /** One attempt's limit. Default: the job's; `http` 30 000. */
      timeout_ms?: number;
      /** Default GET. */
      method?: "GET" | "POST";
      /** A template of the path and the query; the origin may not hold a reference. Rules: as for webhooks. */
      url: string;
      /** Write-only: the values are never shown again. Rules: as for `callback_headers`. */
      headers?: Record<string, string>;
      /** A template of what is POSTed. */
      body?: string;
      /** Of the body. Default `application/json`. */
      content_type?: string;
      /** A longer answer fails the step. Default 262 144. */
      max_bytes?: number;
    }
  | {
      type: "template";
      name: string;
      /** Its part of the progress. Default 1. */
      weight?: number;
      template: string;
    }
  | {
      type: "approval";
      name: string;
      /** Its part of the progress. Default 1. */
      weight?: number;
      /** A template of what is asked. */
      message?: string;
      /** Unanswered so long, the job fails with `expired`. Default: a year. */
      expires_in_seconds?: number;
    };

export type ModelParams = {
  /** Default 4096. */
  max_tokens?: number;
  temperature?: number;
  top_p?: number;
  stop?: string | string[];
  seed?: number;
  response_format?:
    | {
        type: "text";
      }
    | {
        type: "json_object";
      }
    | {
        type: "json_schema";
        json_schema: {
          name: string;
          description?: string;
          schema?: Record<string, unknown>;
          strict?: boolean;
        };
      };
  tools?: {
    type: "function";
    function: {
      name: string;
      description?: string;
      parameters?: Record<string, unknown>;
      strict?: boolean;
    };
  }[];
  tool_choice?:
    | "none"
    | "auto"
    | "required"
    | {
        type: "function";
        function: {
          name: string;
        };
      };
};

/** The last three are terminal: exactly one, last. */
export type JobWebhookEvent =
  | "job.started"
  | "job.progress"
  | "job.completed"
  | "job.failed"
  | "job.cancelled";

/** The last three are terminal: a job never leaves them. */
export type JobStatus = "queued" | "active" | "completed" | "failed" | "cancelled";

/** A model's answer. */
export type JobResult = {
  content: string;
  /** As the provider names it. */
  model: string;
  finish_reason: string;
  tool_calls: ToolCall[];
  usage: Usage | null;
};

/** Why a job failed, for programs. */
export type ErrorCode =
  | "provider_rejected"
  | "provider_unavailable"
  | "rate_limited"
  | "timeout"
  | "content_filter"
  | "empty_response"
  | "budget"
  | "expired"
  | "stalled"
  | "internal";

export type Usage = {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** True where the provider reported none and it was estimated. */
  estimated?: boolean;
};

/** A job without its text, which reading the job gives. */
export type ListedJob = {
  job_id: string;
  status: JobStatus;
  submitted_at: string;
  model: string;
  provider: string;
  priority: "enterprise" | "pro" | "free" | "default";
  priority_level: number;
  progress: number;
  step: string | null;
  attempts_made: number;
  last_seq: number;
  user: string | null;
  metadata: Record<string, string>;
  batch_id: string | null;
  /** Its place in the batch, from 0. */
  batch_index?: number;
  batch_total?: number;
  replay_of: string | null;
  /** The calls that gave the answer. */
  cost_usd: number | null;
  /** Calls whose answer was lost. */
  wasted_cost_usd: number;
  /** As it was submitted. */
  max_cost_usd?: number;
  run_at?: string;
  retry_at?: string;
  /** While queued: how many jobs go before it, as far as is known. */
  queue_position?: number;
  /** While queued: seconds until its next call is likely to begin; 86400: not known. */
  estimated_wait?: number;
  started_at?: string;
  /** Somebody's answer, by `POST /api/jobs/:id/input`. */
  waiting_for?: {
    type: "approval";
    step: string;
    /** Names what is asked, in its answer. */
    request_id: string;
    message: string;
    expires_at: string;
  };
  completed_at?: string;
  processing_time_ms?: number;
  timings?: {
    queue_ms: number;
    ttft_ms: number | null;
    provider_ms: number | null;
  };
  error?: string;
  error_code?: ErrorCode;
  failed_at?: string;
  /** Its dead letter. */
  dlq_id?: string;
  cancelled_at?: string;
  reason?: string;
  /** Of a job that was cancelled or reached `max_cost_usd`: all its calls, as far as known. */
  usage?: Usage;
  retained_until?: string;
};

/** `waiting`: for somebody's answer. `skipped`: the job ended before it. */
export type StepStatus =
  | "pending"
  | "active"
  | "waiting"
  | "completed"
  | "failed"
  | "cancelled"
  | "skipped";

/** A job, with a name of the caller's own if they like. `dedupe_window_seconds` has no meaning here. */
export type BatchItem = {
  prompt?: string;
  messages?: ChatMessage[];
  /** Done one after another. What they have in common is said for the job. */
  steps?: Step[];
  /** Any JSON value, for the templates of the steps: `{{input.…}}`. */
  input?: unknown;
  /** A configured model, or `<provider>/<model>`. Default `gpt-4o`. */
  model?: string;
  params?: ModelParams;
  /** Tried in order when the model before is out of attempts or unavailable. */
  fallback_models?: string[];
  /** Where the job's events are delivered: https, port 443 or 8443, a public host name. Null: nowhere. */
  webhook_url?: string | null;
  /** Sent with each delivery. Write-only: the values are never shown again. */
  callback_headers?: Record<string, string> | null;
  /** Sent besides the terminal events, which always are: `job.started`, `job.progress`. */
  webhook_events?: JobWebhookEvent[];
  /** 1 is soonest. May not be better than the tier's own. It chooses the lane, and goes before among the tenant's own jobs that wait in it. */
  priority?: number;
  profile?: "default" | "interactive" | "long_running";
  /** Calls each model may get. Default 3; profile `long_running` 2. */
  max_attempts?: number;
  /** One attempt's limit. Default 90 000; profile `long_running` 600 000. */
  timeout_ms?: number;
  /** What all its calls together may cost. At the cap it fails with `budget`, and keeps the text so far. */
  max_cost_usd?: number;
  delay_seconds?: number;
  /** Fails with `expired` if not started this long after it is due. Default 86 400. */
  ttl_seconds?: number;
  /** Without an Idempotency-Key: within this window the same user, model, input and params are the same job. Default 0: off. */
  dedupe_window_seconds?: number;
  user?: string;
  metadata?: Record<string, string>;
  /** How long the job is kept after its end. Default 86 400; failed 604 800. */
  retention_seconds?: number;
  /** The caller's own name for the item: unique in the batch, and in its results. */
  custom_id?: string;
};

/** `completed`: every item has ended, well or not. `cancelling`: items that run are being stopped. */
export type BatchStatus = "active" | "cancelling" | "completed" | "cancelled";

/** Of items. They sum to the total at every moment. */
export type StatusCounts = {
  completed: number;
  failed: number;
  active: number;
  waiting: number;
  cancelled: number;
};

export type WebhookEventName =
  | "job.started"
  | "job.progress"
  | "job.completed"
  | "job.failed"
  | "job.cancelled"
  | "batch.completed"
  | "batch.cancelled";

/** `failed`: all attempts were used up. `gone`: the receiver answered 410. `superseded`: a notice that a later event has overtaken. */
export type DeliveryStatus = "pending" | "delivered" | "failed" | "gone" | "superseded";

export type ToolCall = {
  id: string;
  type: "function";
  function: {
    name: string;
    /** JSON as the model wrote it; may be invalid. */
    arguments: string;
  };
};

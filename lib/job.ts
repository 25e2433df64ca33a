/** Where a job stands; the last three are terminal: a job never leaves them. */
export type JobStatus = "queued" | "active" | "completed" | "failed" | "cancelled";

/** Why a job failed, for programs. */
export type JobErrorCode =
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

/** Tokens; `estimated` is true where the provider reported none. */
export type Usage = {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  estimated?: boolean;
};

/** A model's wish to call a function. `arguments` is JSON as the model wrote it, so it may be invalid. */
export type ToolCall = {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
};

/** A model's answer. `model` is as the provider names it. */
export type JobResult = {
  content: string;
  model: string;
  finish_reason: string;
  tool_calls: ToolCall[];
  usage: Usage | null;
};

/**
 * A job as its owner sees it: what `GET /api/jobs/:id` answers, and what is known of it where it is only told of.
 *
 * Instants are RFC 3339 in UTC, spans milliseconds (`estimated_wait`: seconds), costs US dollars. A field that has no
 * value yet is absent unless its type says null.
 */
export type Job = {
  job_id: string;
  status: JobStatus;
  submitted_at: string;
  model: string;
  provider: string;
  priority: "enterprise" | "pro" | "free" | "default";
  priority_level: number;
  /** 0 to 100. */
  progress: number;
  step: string | null;
  attempts_made: number;
  last_seq: number;
  user: string | null;
  metadata: Record<string, string>;
  batch_id: string | null;
  replay_of: string | null;
  /** Of the calls that gave the answer. */
  cost_usd: number | null;
  /** Of the calls whose answer was lost. */
  wasted_cost_usd: number;
  run_at?: string;
  retry_at?: string;
  queue_position?: number;
  estimated_wait?: number;
  started_at?: string;
  partial_output?: string;
  result?: JobResult;
  completed_at?: string;
  processing_time_ms?: number;
  timings?: { queue_ms: number; ttft_ms: number | null; provider_ms: number | null };
  error?: string;
  error_code?: JobErrorCode;
  failed_at?: string;
  /** Its dead letter. */
  dlq_id?: string;
  cancelled_at?: string;
  reason?: string;
  /** Of a cancelled job: all its calls, as far as known. */
  usage?: Usage;
  retained_until?: string;
};

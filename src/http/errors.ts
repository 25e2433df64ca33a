import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";

import { ConfigError } from "../settings/config.ts";
import { PROBLEMS, type Problem, type ProblemCode } from "../schema/error.ts";
import type { App } from "./context.ts";

export type FieldError = { pointer: string; detail: string; index?: number };

/** A refusal with its reason. Thrown anywhere in http/, turned into an answer here only. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ProblemCode;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { errors?: FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.code = code;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}

export function jobNotFound(): ApiError {
  return new ApiError("job-not-found", "Job not found");
}

export function jobGone(): ApiError {
  return new ApiError("job-gone", "The job was here and has been deleted");
}

export function keyReused(): ApiError {
  const detail = "This Idempotency-Key was used with another payload";
  return new ApiError("idempotency-key-reused", detail);
}

export function batchNotFound(): ApiError {
  return new ApiError("batch-not-found", "Batch not found");
}

export function batchGone(): ApiError {
  return new ApiError("batch-gone", "The batch was here and has been deleted");
}

/** What a request fails with, as problem+json. What is not ours to tell is logged by its name and told as nothing. */
export function onError(error: Error, c: Context<App>): Response {
  const refusal = asApiError(error, c.get("requestId"));
  const { status, title } = PROBLEMS[refusal.code];
  const problem: Problem = {
    type: `urn:afterword:problem:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    code: refusal.code,
    request_id: c.get("requestId"),
    ...(refusal.errors === undefined ? {} : { errors: refusal.errors }),
    error: refusal.message,
  };
  return c.body(JSON.stringify(problem), status, {
    "content-type": "application/problem+json",
    ...refusal.headers,
  });
}

function asApiError(error: Error, requestId: string): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof HTTPException && error.status < 500) {
    return new ApiError("invalid-request", "The request is malformed");
  }
  if (isPassing(error)) {
    const headers = { "retry-after": "1" };
    return new ApiError("unavailable", "The job could not be reached; try again", { headers });
  }
  const line = { event: "request.failed", request_id: requestId, error: error.name };
  // A wrong setting is the operator's to mend: its message names the setting and never its value.
  const told = error instanceof ConfigError ? error.message : undefined;
  console.error(JSON.stringify({ ...line, setting: told }));
  return new ApiError("internal-error", told ?? "The request could not be carried out");
}

/** The platform marks errors that a repeat may cure: an object reset under a deploy, or one that is overloaded. */
function isPassing(error: Error): boolean {
  return ["retryable", "overloaded"].some((mark) => Reflect.get(error, mark) === true);
}

import type { Problem } from "./api-types.ts";

/**
 * Why a request came to nothing, for programs: what the API said, or
 *
 * - `no-answer`: the server was not reached, or fell silent
 * - `unreadable-answer`: what answered was not the API: a proxy's page, or JSON that was cut
 */
export type AfterwordErrorCode = Problem["code"] | "no-answer" | "unreadable-answer";

type Facts = {
  status: number | null;
  code: AfterwordErrorCode;
  requestId?: string | null;
  errors?: Problem["errors"];
  retryAfterMs?: number | null;
  cause?: unknown;
};

/** What the client throws where it is refused, or cannot get an answer. Its message holds no key, token or URL. */
export class AfterwordError extends Error {
  override readonly name = "AfterwordError";
  /** The answer's HTTP status; null where there was no answer. */
  readonly status: number | null;
  readonly code: AfterwordErrorCode;
  /** Names the request to whoever runs the server. */
  readonly requestId: string | null;
  /** What is wrong with which field of the request; `index`: of which item of a batch. */
  readonly errors: { pointer: string; detail: string; index?: number }[];
  /** When the server wants to be asked again, in milliseconds; null where it did not say. */
  readonly retryAfterMs: number | null;

  constructor(message: string, facts: Facts) {
    super(message, { cause: facts.cause });
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId ?? null;
    this.errors = facts.errors ?? [];
    this.retryAfterMs = facts.retryAfterMs ?? null;
  }
}

export function noAnswer(cause: unknown): AfterwordError {
  return new AfterwordError("The server did not answer", {
    status: null,
    code: "no-answer",
    cause,
  });
}

export function unreadable(status: number | null, headers?: Headers): AfterwordError {
  return new AfterwordError("The answer is not one of the API's", {
    status,
    code: "unreadable-answer",
    requestId: headers?.get("x-request-id") ?? null,
    retryAfterMs: headers === undefined ? null : retryAfterMs(headers),
  });
}

/** The API's refusal in its own words (RFC 9457), or whatever else has refused. */
export function refusal({ status, headers }: Response, text: string): AfterwordError {
  const problem = problemIn(text);
  if (problem === null) return unreadable(status, headers);
  const { detail, code, request_id: requestId, errors } = problem;
  const waitMs = retryAfterMs(headers);
  return new AfterwordError(detail, { status, code, requestId, errors, retryAfterMs: waitMs });
}

/** Seconds or a date (RFC 9110, 10.2.3); null where the server did not say, or nothing that can be read. */
export function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** Whether asking again may help. What a request is refused for does not change by itself. */
export function mayPass({ status }: AfterwordError): boolean {
  const isRefusal = status !== null && status >= 400 && status < 500;
  return !isRefusal || status === 408 || status === 429;
}

function problemIn(text: string): Problem | null {
  try {
    const problem = JSON.parse(text) as Problem | null;
    return typeof problem?.code === "string" && typeof problem.detail === "string" ? problem : null;
  } catch {
    return null;
  }
}

import type { ErrorCode } from "../schema/job.ts";

/** A failed attempt: what the caller is told, and whether trying again can help. */
export type Failure = {
  code: ErrorCode;
  /** For people. Ours, never the provider's own text, which may hold keys or organisation ids. */
  message: string;
  /** `retry` the same model, go to the `next_model` at once, or `give_up` because no call can succeed. */
  remedy: "retry" | "next_model" | "give_up";
  retryAfterMs: number | null;
};

/** What went wrong with a call, as the provider's client saw it. */
export type CallError =
  | { kind: "status"; status: number; retryAfterMs: number | null }
  | { kind: "timeout"; waitedFor: "headers" | "next token" | "whole answer" }
  | { kind: "unreachable" }
  | { kind: "cut" }
  | { kind: "malformed" }
  | { kind: "empty" }
  | { kind: "content_filter" }
  | { kind: "quota" }
  /** The answer reached what the job's own budget pays for. */
  | { kind: "budget" }
  | { kind: "not_configured" }
  /** The step called nobody, or could not even be begun. */
  | { kind: "step"; failure: Failure };

/** Sorts a call's error into what it means for the job. The only place that decides what is worth another attempt. */
export function classify(error: CallError): Failure {
  switch (error.kind) {
    case "status":
      return classifyStatus(error);
    case "timeout":
      return retry("timeout", `The provider timed out (${error.waitedFor})`);
    case "unreachable":
      return retry("provider_unavailable", "The provider could not be reached");
    case "cut":
      return retry("provider_unavailable", "The provider cut the answer short");
    case "malformed":
      return retry("provider_unavailable", "The provider sent a malformed answer");
    case "empty":
      return retry("empty_response", "The provider sent an empty answer");
    case "content_filter":
      return giveUp("content_filter", "The provider's content filter stopped the answer");
    case "quota":
      return nextModel("provider_rejected", "The account at the provider is used up");
    case "budget":
      return OVER_BUDGET;
    case "not_configured":
      return nextModel("provider_unavailable", "The provider is not configured");
    case "step":
      return error.failure;
  }
}

/** What went wrong with a step that asks somebody else's URL. */
export type HttpStepError =
  | { kind: "status"; status: number; retryAfterMs: number | null }
  | { kind: "timeout" }
  | { kind: "unreachable" }
  | { kind: "cut" }
  | { kind: "too_long"; maxBytes: number }
  /** `fault`: the end of a sentence that begins with the URL, and never repeats it. */
  | { kind: "url"; fault: string }
  /** Its headers were sealed under a root key that is not there. */
  | { kind: "sealed" };

/** The same for such a step. Nothing of what was sent or answered is in it. */
export function classifyHttpStep(error: HttpStepError): Failure {
  switch (error.kind) {
    case "status":
      return classifyStepStatus(error);
    case "timeout":
      return retry("timeout", "The step's URL did not answer in time");
    case "unreachable":
      return retry("provider_unavailable", "The step's URL could not be reached");
    case "cut":
      return retry("provider_unavailable", "The answer of the step's URL broke off");
    case "too_long":
      return refusedStep(`The answer of the step's URL is longer than ${error.maxBytes} bytes`);
    case "url":
      return refusedStep(`The step's URL is refused: it ${error.fault}`);
    case "sealed":
      return retry("internal", "The step's headers cannot be read");
  }
}

/** A step that cannot succeed, however often it is tried. */
export function refusedStep(reason: string): Failure {
  return giveUp("provider_rejected", reason);
}

/** Whether the provider had taken the call on, so that it may bill it though it failed. */
export function wasTaken(error: CallError): boolean {
  switch (error.kind) {
    case "status":
    case "unreachable":
    case "quota":
    case "not_configured":
    case "step":
      return false;
    case "timeout":
    case "cut":
    case "malformed":
    case "empty":
    case "content_filter":
    case "budget":
      return true;
  }
}

/** A consumer that died or went silent: its lease ran out. */
export const STALLED: Failure = {
  code: "stalled",
  message: "The attempt stalled",
  remedy: "retry",
  retryAfterMs: null,
};

export const EXPIRED: Failure = {
  code: "expired",
  message: "The job was not started in time",
  remedy: "give_up",
  retryAfterMs: null,
};

/** Nobody has answered what was asked. */
export const UNANSWERED: Failure = {
  code: "expired",
  message: "The approval was not given in time",
  remedy: "give_up",
  retryAfterMs: null,
};

/** The outputs that a step refers to are more than one call can hold. */
export const READS_TOO_MUCH: Failure = {
  code: "provider_rejected",
  message: "The outputs that the step refers to are too long",
  remedy: "give_up",
  retryAfterMs: null,
};

export const OVERDUE: Failure = {
  code: "timeout",
  message: "The job ran out of its time",
  remedy: "give_up",
  retryAfterMs: null,
};

/** What the job may cost is spent, or the rest pays for no further answer. */
export const OVER_BUDGET: Failure = {
  code: "budget",
  message: "The job's budget is used up",
  remedy: "give_up",
  retryAfterMs: null,
};

/** Its queue message was redelivered until the queue itself gave up, though the job was never in use. */
export const UNDELIVERABLE: Failure = {
  code: "internal",
  message: "The job could not be handed to a consumer",
  remedy: "give_up",
  retryAfterMs: null,
};

function classifyStatus(error: Extract<CallError, { kind: "status" }>): Failure {
  const { status, retryAfterMs } = error;
  const line = `(HTTP ${status})`;
  if (status === 429) {
    return { ...retry("rate_limited", `The provider's rate limit was hit ${line}`), retryAfterMs };
  }
  if (status === 408 || status === 409 || status === 425 || status >= 500) {
    const failure = retry("provider_unavailable", `The provider is unavailable ${line}`);
    return { ...failure, retryAfterMs };
  }
  // Our key or this model, not the request: another provider may well answer it.
  if (status === 401 || status === 402 || status === 403 || status === 404) {
    return nextModel("provider_rejected", `The provider refused the model or its key ${line}`);
  }
  return giveUp("provider_rejected", `The provider rejected the request ${line}`);
}

function classifyStepStatus({
  status,
  retryAfterMs,
}: Extract<HttpStepError, { kind: "status" }>): Failure {
  if (status >= 300 && status < 400) {
    return refusedStep(`HTTP ${status} from the step's URL; redirects are not followed`);
  }
  const message = `HTTP ${status} from the step's URL`;
  if (status === 429) return { ...retry("rate_limited", message), retryAfterMs };
  if (status === 408 || status === 425 || status >= 500) {
    return { ...retry("provider_unavailable", message), retryAfterMs };
  }
  return refusedStep(message);
}

function retry(code: ErrorCode, message: string): Failure {
  return { code, message, remedy: "retry", retryAfterMs: null };
}

function nextModel(code: ErrorCode, message: string): Failure {
  return { code, message, remedy: "next_model", retryAfterMs: null };
}

function giveUp(code: ErrorCode, message: string): Failure {
  return { code, message, remedy: "give_up", retryAfterMs: null };
}

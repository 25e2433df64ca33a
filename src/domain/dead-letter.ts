import type { BatchPlace } from "./batch-place.ts";
import { modelOf, providerOf } from "./course.ts";
import { dlqIdOf, hasLetter, type HttpPlan, type Job } from "./job.ts";
import { httpStepsOf } from "./origin.ts";
import { textOf } from "./message-text.ts";
import { attemptsOf } from "./view.ts";
import type { Webhook } from "./webhook.ts";
import type { AttemptView, ErrorCode, KeptRequest, Tier } from "../schema/job.ts";

/**
 * A job given up on, with all that is needed to understand it and to submit it again: it outlives the job.
 * Instants are epoch milliseconds.
 */
export type DeadLetter = {
  dlqId: string;
  jobId: string;
  tenant: string;
  tier: Tier;
  /** The model asked for, and who served the last attempt. */
  model: string;
  provider: string;
  error: string;
  errorCode: ErrorCode;
  submittedAt: number;
  failedAt: number;
  attempts: AttemptView[];
  request: KeptRequest;
  /** Where its events were to go, so that those of a job made from it go there too. */
  webhook?: Webhook;
  /** What its `http` steps are sent with, headers sealed, for a job made from it. */
  httpSteps?: (HttpPlan | null)[];
  /** The batch it was of, so that the batch hears of a job made from it. */
  batch?: BatchPlace;
};

/** What is to be done about a job that is given up: write its letter, or take back one that may have been written. */
export type GivenUp =
  | { type: "letter"; letter: DeadLetter }
  | { type: "withdrawn"; dlqId: string }
  | { type: "nothing" };

/** What is to be done about a job that is, or was, given up. `request`: as it was submitted; null if it is gone. */
export function givenUp(job: Job | null, request: () => KeptRequest | null, now: number): GivenUp {
  if (job === null || !hasLetter(job)) return { type: "nothing" };
  if (job.status !== "failing" && job.status !== "failed") {
    return { type: "withdrawn", dlqId: dlqIdOf(job.spec) };
  }
  const isWritten = job.status === "failed" && job.letter === null;
  const asked = isWritten ? null : request();
  if (asked === null) return { type: "nothing" };
  return { type: "letter", letter: deadLetterOf(job, asked, now) };
}

function deadLetterOf(
  job: Extract<Job, { status: "failing" | "failed" }>,
  request: KeptRequest,
  now: number,
): DeadLetter {
  const { spec, failure } = job;
  return {
    dlqId: dlqIdOf(spec),
    jobId: spec.id,
    tenant: spec.tenant,
    tier: spec.tier,
    model: modelOf(spec),
    provider: providerOf(job),
    error: failure.message,
    errorCode: failure.code,
    submittedAt: spec.submittedAt,
    failedAt: job.status === "failed" ? job.endedAt : now,
    attempts: attemptsOf(job),
    request,
    ...(spec.webhook === undefined ? {} : { webhook: spec.webhook }),
    ...httpStepsOf(spec),
    ...(spec.batch === undefined ? {} : { batch: spec.batch }),
  };
}

/** A letter as lists show it: all but what may be heavy. */
export type LetterSummary = Omit<
  DeadLetter,
  "attempts" | "request" | "webhook" | "httpSteps" | "batch"
> & {
  /** The same for all letters that failed in the same way. */
  fingerprint: string;
  /** How many attempts were made. */
  attempts: number;
  /** How the prompt begins. */
  preview: string;
};

/** Which letters: those that fit all that is given. Absent filters admit all. */
export type LetterFilter = {
  errorCode?: ErrorCode;
  model?: string;
  tenant?: string;
  fingerprint?: string;
  /** Epoch milliseconds, exclusive. */
  failedBefore?: number;
};

/** A letter's place in the list: newest failure first, among equals the one that came last. */
export type LetterPosition = { failedAt: number; id: number };

/** Letters that failed in the same way. */
export type LetterGroup = {
  fingerprint: string;
  errorCode: ErrorCode;
  error: string;
  provider: string;
  count: number;
  models: string[];
  tenants: number;
  firstFailedAt: number;
  lastFailedAt: number;
  /** The newest of them. */
  sampleDlqIds: string[];
};

export function summaryOf(letter: DeadLetter): LetterSummary {
  const { attempts, request, webhook: _, httpSteps: __, batch: ___, ...rest } = letter;
  return {
    ...rest,
    fingerprint: causeOf(letter),
    attempts: attempts.length,
    preview: previewOf(request),
  };
}

/**
 * What a failure looks like, in 16 hex digits: letters of the same cause have the same, whoever's jobs they were.
 * FNV-1a of 64 bits (draft-eastlake-fnv): it names groups to people, and guards nothing.
 */
export function causeOf(letter: Pick<DeadLetter, "errorCode" | "error" | "provider">): string {
  const canonical = JSON.stringify([letter.errorCode, letter.error, letter.provider]);
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(canonical)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

const PREVIEW_CHARS = 100;

/** The first 100 characters of the prompt, or of what the user said last; of several steps, of the first that calls a model. */
export function previewOf({
  prompt,
  messages = [],
  steps = [],
}: Pick<KeptRequest, "prompt" | "messages" | "steps">): string {
  const call = steps.find((step) => step.type === "llm");
  if (call !== undefined) return previewOf({ prompt: call.prompt, messages: call.messages });
  const question = messages.findLast(({ role }) => role === "user");
  const text = prompt ?? (question === undefined ? "" : textOf(question));
  // No character takes more than two units, and a prompt may have a million.
  return Array.from(text.slice(0, 2 * PREVIEW_CHARS))
    .slice(0, PREVIEW_CHARS)
    .join("");
}

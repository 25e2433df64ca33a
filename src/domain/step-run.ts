import type { ChatMessage, ModelParams } from "../schema/chat.ts";
import type { KeptRequest } from "../schema/job.ts";
import type { Failure } from "./failure.ts";
import type { Toll } from "./template.ts";

/** What a finished step left to the later ones. */
export type StepOutput = { name: string; output: string };

/** A step with its references filled in. `refused`: it cannot be, for this reason, which holds nothing of its content. */
export type RenderedStep =
  | { type: "llm"; request: { prompt?: string; messages?: ChatMessage[]; params?: ModelParams } }
  | RenderedHttp
  | { type: "template"; text: string }
  /** What is asked of whoever approves. */
  | { type: "approval"; message: string }
  | { type: "refused"; reason: string };

/** An HTTP request, but for its headers, which are sealed. */
export type RenderedHttp = {
  type: "http";
  method: "GET" | "POST";
  url: string;
  /** What is POSTed; null if nothing is. */
  body: string | null;
  contentType: string;
  /** A longer answer fails the step. */
  maxBytes: number;
};

/**
 * Fills in the references of the step at `index`. `outputs`: at least of those steps that it reads. `whole`: what this and other
 * steps come to, to which it is added.
 */
export type RenderStep = (
  request: KeptRequest,
  index: number,
  outputs: readonly StepOutput[],
  whole?: Toll,
) => RenderedStep;

/** What an `http` step is carried out for, and within. */
export type HttpStepRun = {
  rendered: RenderedHttp;
  tenant: string;
  /** As the step was planned with; null: none. */
  sealedHeaders: string | null;
  /** As the step was planned with: no step may ask there. */
  submittedTo: string;
  /** The same on every run of this step, so that a receiver can drop what comes again. */
  idempotencyKey: string;
  timeoutMs: number;
  /** The job was cancelled, or somebody else has its lease. */
  stop: AbortSignal;
};

export type HttpStepOutcome = { ok: true; text: string } | { ok: false; failure: Failure };

/** Carries out an `http` step once. Never throws. */
export type RunHttpStep = (run: HttpStepRun) => Promise<HttpStepOutcome>;

import type { Step } from "../schema/step.ts";
import type { Route } from "./job.ts";

/** What an `http` step is sent with, besides what its templates render to. */
export type PlannedHttp = {
  /** The caller's own headers, sealed; null if there are none. */
  headers: string | null;
  /** A longer answer fails the step. */
  maxBytes: number;
  /** The origin the job was submitted to: no step may point there. */
  submittedTo: string;
};

/** What was fixed of a step at submission. Its templates are in the request. */
export type PlannedStep = {
  name: string;
  type: Step["type"];
  /** Its part of the job's progress, of the sum of all weights. */
  weight: number;
  /** Calls each of its models may get; attempts of a step that calls none. */
  maxAttempts: number;
  timeoutMs: number;
  /** The models an `llm` step may call; none for others. */
  routes: Route[];
  /** What an `llm` step's prompt is likely to count, and most tokens of its answer; 0 for others. */
  promptTokens: number;
  answerTokens: number;
  /** How long an `approval` is waited for; null for others. */
  expiresMs: number | null;
  /** Of an `http` step. */
  http?: PlannedHttp;
};

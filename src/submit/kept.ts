import type { CreateJob, KeptRequest } from "../schema/job.ts";
import type { KeptStep, Step } from "../schema/step.ts";

/** A submission as it is kept. The values of its headers are kept apart from it, sealed. */
export function keptOf(request: CreateJob): KeptRequest {
  const { callback_headers: _, steps, ...kept } = request;
  return steps === undefined ? kept : { ...kept, steps: steps.map(withoutHeaders) };
}

function withoutHeaders(step: Step): KeptStep {
  if (step.type !== "http") return step;
  const { headers: _, ...kept } = step;
  return kept;
}

import type { JobSpec, LogEvent, PlannedStep, Route } from "../../src/domain/job.ts";

/** What an observer who has only the log and the submission knows of a job's steps. */
type Observed = { spec: JobSpec; log: LogEvent[] };

export function stepsDone(log: LogEvent[]): number {
  return log.filter(({ type }) => type === "step_completed").length;
}

/** The step at work, or next. Undefined: the job is one call. */
export function stepNow({ spec, log }: Observed): PlannedStep | undefined {
  return spec.steps?.[stepsDone(log)];
}

/** The models that may be called now; one without a name where the step calls none. */
export function routesNow(world: Observed): Route[] {
  const step = stepNow(world);
  if (step === undefined) return world.spec.routes;
  if (step.type === "llm") return step.routes;
  return [step.type === "http" ? { ...CALLS_NOBODY, provider: "http" } : CALLS_NOBODY];
}

const CALLS_NOBODY: Route = { name: "none", provider: "none", model: "none", price: null };

export function boundsNow(world: Observed): { maxAttempts: number; timeoutMs: number } {
  return stepNow(world) ?? world.spec;
}

/** What has happened since the step at work was the one to be done. */
export function sinceLastStep(log: LogEvent[]): LogEvent[] {
  return log.slice(log.findLastIndex(({ type }) => type === "step_completed") + 1);
}

/** The bytes of the outputs that the step at work refers to. */
function bytesRead(world: Observed): number {
  const done = world.log.filter((event) => event.type === "step_completed");
  const reads = stepNow(world)?.reads ?? [];
  return reads.reduce((sum, index) => sum + (done[index]?.output_bytes ?? 0), 0);
}

export function promptTokensNow(world: Observed): number {
  const step = stepNow(world);
  if (step === undefined) return world.spec.promptTokens;
  return step.promptTokens + Math.ceil(bytesRead(world) / 4);
}

/** How long it has waited for answers that came. */
export function waitedFor(log: LogEvent[]): number {
  let waited = 0;
  let askedAt: number | null = null;
  for (const event of log) {
    if (event.type === "step_started" && event.request_id !== undefined) {
      askedAt = Date.parse(event.at);
    }
    if (event.type !== "step_completed" || askedAt === null) continue;
    waited += Date.parse(event.at) - askedAt;
    askedAt = null;
  }
  return waited;
}

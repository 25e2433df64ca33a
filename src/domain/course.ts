import { estimatedTokens } from "./cost.ts";
import type { Attempt, Job, JobSpec, PlannedStep, Route } from "./job.ts";

/** How far a job of several steps has come. Instants are epoch milliseconds. */
export type Course = {
  /** The finished steps, in their order: the one behind them is at work, or next. */
  done: DoneStep[];
  /** When the step at work was entered; null: none is. */
  enteredAt: number | null;
  /** How long approvals were waited for, in all: by so much the job's life is longer. */
  waitedMs: number;
};

export type DoneStep = {
  /** The attempt whose text is its output. Null: the output is in its `step_completed`, or was carried over. */
  attempt: number | null;
  /** Of its `step_completed` in the log. */
  seq: number;
  /** Of its output, in UTF-8. */
  bytes: number;
  startedAt: number;
  endedAt: number;
  /** The model that answered, as its provider names it. */
  model?: string;
  /** An approval's answer: what was decided, and a digest that tells its repetition from another answer. */
  input?: { approved: boolean; digest: string };
  /** It was finished by the job that this one repeats. */
  carried?: true;
};

/** Who serves a step that calls nobody. */
const NO_MODEL: Route = {
  name: "none",
  provider: "none",
  model: "none",
  price: { input: 0, output: 0 },
};

/**
 * Who permits `http` steps. They ask whom their tenants like, for as long as that takes, so they have turns and places
 * of their own, as if one provider served them all.
 */
export const HTTP = "http";
const WEB: Route = { ...NO_MODEL, provider: HTTP };

/** The outputs that one step may read, in bytes of UTF-8: they go to its consumer in one call, and a call takes 32 MiB (platform limit). */
export const MOST_READ_BYTES = 8_388_608;

/** The outputs that one job takes over from another, in bytes of UTF-8, for the same reason. */
export const MOST_CARRIED_BYTES = 16_777_216;

/** `carried`: the bytes of the outputs of the steps that are finished from the beginning. */
export function newCourse(
  { steps, submittedAt }: JobSpec,
  carried: number[] = [],
): { course?: Course } {
  if (steps === undefined) return {};
  const done = carried.map((bytes, index): DoneStep => {
    const times = { startedAt: submittedAt, endedAt: submittedAt };
    // The log begins with `queued`.
    return { attempt: null, seq: index + 2, bytes, ...times, carried: true };
  });
  return { course: { done, enteredAt: null, waitedMs: 0 } };
}

/** The step at work, or next. Undefined: the job is one call, or has finished them all. */
export function stepOf({ spec, course }: Pick<Job, "spec" | "course">): PlannedStep | undefined {
  return spec.steps?.[course?.done.length ?? 0];
}

/** Whether somebody's approval is what comes next. */
export function isAtApproval(job: Job): boolean {
  return stepOf(job)?.type === "approval";
}

/** The attempts at the step at work; at a job of one call, all. */
export function attemptsAtStep({ attempts, course }: Job): Attempt[] {
  if (course === undefined) return attempts;
  return attempts.filter(({ step }) => step === course.done.length);
}

/** The models that may be called now, by their index. */
export function routesOf(job: Job): Route[] {
  return routesAt(job.spec, job.course?.done.length);
}

/** Whom the job calls next. */
export function nextRoute(job: Job): Route | undefined {
  return routesOf(job)[job.route];
}

/** Whom an attempt called. */
export function routeOf({ spec }: Job, { route, step }: Attempt): Route | undefined {
  return routesAt(spec, step)[route];
}

function routesAt({ routes, steps }: JobSpec, index: number | undefined): Route[] {
  const step = index === undefined ? undefined : steps?.[index];
  if (step === undefined) return routes;
  switch (step.type) {
    case "llm":
      return step.routes;
    case "http":
      return [WEB];
    case "template":
    case "approval":
      return [NO_MODEL];
  }
}

/** Whose permit its next attempt needs; null: nobody's. */
export function permittedBy(job: Job): string | null {
  const provider = nextRoute(job)?.provider ?? NO_MODEL.provider;
  return provider === NO_MODEL.provider ? null : provider;
}

/** Its last call to a model: what a step that calls none took says nothing of one. */
export function lastCall({ spec, attempts }: Pick<Job, "spec" | "attempts">): Attempt | undefined {
  const { steps } = spec;
  if (steps === undefined) return attempts.at(-1);
  return attempts.findLast(({ step }) => steps[step ?? -1]?.type === "llm");
}

/** The model its owner sees: of the last call to one, or of the first there is to be. */
export function shownRoute(job: Job): Route {
  const { spec } = job;
  if (spec.steps === undefined) return spec.routes[job.route] ?? NO_MODEL;
  const called = lastCall(job);
  return (called === undefined ? spec.routes[0] : routeOf(job, called)) ?? NO_MODEL;
}

/** Who served its last attempt; without one, who serves the next. */
export function providerOf(job: Job): string {
  const attempt = job.attempts.at(-1);
  return (attempt === undefined ? nextRoute(job) : routeOf(job, attempt))?.provider ?? "";
}

/** The name a job is listed, counted and charged under: of the first model asked for. */
export function modelOf({ routes }: Pick<JobSpec, "routes">): string {
  return routes[0]?.name ?? NO_MODEL.name;
}

export function timeoutOf(job: Job): number {
  return (stepOf(job) ?? job.spec).timeoutMs;
}

export function maxAttemptsOf(job: Job): number {
  return (stepOf(job) ?? job.spec).maxAttempts;
}

/** What the prompt of an attempt at this step is likely to count, with the outputs it reads. */
export function promptTokensAt({ spec, course }: Job, index = course?.done.length ?? 0): number {
  const step = spec.steps?.[index];
  if (step === undefined) return spec.promptTokens;
  return step.promptTokens + estimatedTokens(bytesOf(course, step.reads));
}

/** Most tokens of its answer. */
export function answerTokensOf(job: Job): number {
  return stepOf(job)?.answerTokens ?? job.spec.answerTokens ?? 0;
}

/** Whether the outputs that the step refers to are too long to be read together. */
export function readsTooMuch(job: Job): boolean {
  const reads = new Set(stepOf(job)?.reads);
  return bytesOf(job.course, [...reads]) > MOST_READ_BYTES;
}

function bytesOf(course: Course | undefined, steps: number[]): number {
  return steps.reduce((sum, index) => sum + (course?.done[index]?.bytes ?? 0), 0);
}

/** Whether anything of it has begun: then it has to end in time, and not only to start. */
export function hasBegun({ attempts, course }: Job): boolean {
  return attempts.length > 0 || course?.enteredAt != null;
}

/** When its life is over. What it waited for somebody's answer does not count. */
export function lifeEndsAt({ spec, course }: Job): number {
  return spec.endBy + (course?.waitedMs ?? 0);
}

/** Names what is asked for at the step at `index`, in this job only. */
export function requestIdAt({ uid }: JobSpec, index: number): string {
  return `input_${uid}_${index}`;
}

/** Progress once so many steps are finished: their weights' part of all, in whole percent. */
export function progressAfter(steps: PlannedStep[], finished: number): number {
  const whole = weightOf(steps);
  // Steps that weigh nothing at all count alike.
  if (whole === 0) return Math.floor((finished * 100) / steps.length);
  return Math.floor((weightOf(steps.slice(0, finished)) * 100) / whole);
}

function weightOf(steps: PlannedStep[]): number {
  return steps.reduce((sum, { weight }) => sum + weight, 0);
}

/** The job with what it has waited for an answer added up, if it waited. */
export function afterWaiting(job: Job, now: number): Job {
  const { course } = job;
  if (job.status !== "waiting" || course === undefined) return job;
  return { ...job, course: { ...course, waitedMs: course.waitedMs + (now - job.since) } };
}

import { tokensLeft } from "../domain/budget.ts";
import {
  answerTokensOf,
  HTTP,
  nextRoute,
  permittedBy,
  promptTokensAt,
  stepOf,
  timeoutOf,
} from "../domain/course.ts";
import type { Job } from "../domain/job.ts";
import type { Waits } from "../domain/outlook.ts";
import { statusOf } from "../domain/view.ts";
import type { Grant, Leased, Settlement } from "./job-rpc.ts";
import { outputsRead } from "./step-reading.ts";
import type { JobStore } from "../storage/job-store.ts";
import type { Needs } from "../schema/message.ts";

/** What a job needs for its next attempt; null: there is none to be. */
export function needsOf(job: Job): Needs | null {
  const provider = permittedBy(job);
  if (job.status !== "queued" || provider === null) return null;
  const { tenant, priorityLevel: priority, leaseMs } = job.spec;
  const tokens = provider === HTTP ? 0 : promptTokensAt(job) + answerTokensOf(job);
  const lastsMs = timeoutOf(job) + leaseMs;
  return { provider, tenant, tokens, since: job.readyAt, priority, lastsMs };
}

/** Where the job stands in line; nothing if it does not. */
export function waitsOf(job: Job): { waits?: Waits } {
  const needs = statusOf(job) === "queued" ? needsOf(job) : null;
  if (needs === null) return {};
  const { provider, tenant, since } = needs;
  const { lane, priorityLevel: priority } = job.spec;
  return { waits: { provider, tenant, lane, priority, since } };
}

/** The answer to a consumer that has no permit for what the job calls; null: it has, or the job is not due. */
export function elsewhere(
  job: Job | null,
  provider: string | null | undefined,
  takesSteps: boolean,
  now: number,
): Grant | null {
  if (job?.status !== "queued") return null;
  // A consumer of a version without steps would take one for a call: its message waits for another.
  if (job.spec.steps !== undefined && !takesSteps) return { type: "wait", delaySeconds: 30 };
  if (provider === undefined || now < job.readyAt) return null;
  const needs = needsOf(job);
  return needs === null || needs.provider === provider ? null : { type: "elsewhere", needs };
}

/** What a consumer needs for the attempt it was leased; nothing where the job had no money left for one. */
export function grantOf(job: Job, store: JobStore, watched: boolean): Grant {
  const request = store.request();
  const route = nextRoute(job);
  const isLeased = job.status === "active";
  if (!isLeased || route === undefined || request === null) return { type: "ignore" };
  const timeoutMs = timeoutOf(job);
  const maxTokens = tokensLeft(job);
  const cap = maxTokens === Infinity ? {} : { maxTokens };
  return { type: "leased", route, request, timeoutMs, watched, ...cap, ...stepGranted(job, store) };
}

/** What the run of a step takes besides; nothing for a job of one call. */
function stepGranted(job: Job, store: JobStore): Pick<Leased, "step"> {
  const step = stepOf(job);
  if (step === undefined || job.course === undefined) return {};
  const index = job.course.done.length;
  return {
    step: {
      index,
      outputs: outputsRead(job, store),
      tenant: job.spec.tenant,
      idempotencyKey: `${job.spec.uid}.${index}`,
      sealedHeaders: step.headers ?? null,
      submittedTo: step.submittedTo ?? "",
    },
  };
}

/** What becomes of the message of a consumer that has finished a step: it goes on with the next, if that is anybody's to do. */
export function afterStep(job: Job | null, token: string): Settlement {
  const last = job?.attempts.at(-1);
  const isItsOwn = last?.token === token && last.outcome === "completed";
  if (job?.status !== "queued" || !isItsOwn) return { type: "ack" };
  return { type: "retry", delaySeconds: 0, goOn: true, needs: needsOf(job) };
}

import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";

import { runAttempts, type AttemptPorts } from "../../src/consumer/attempt.ts";
import type { JobSpec } from "../../src/domain/job.ts";
import type { RunHttpStep } from "../../src/domain/step-run.ts";
import type { StepView } from "../../src/schema/job-steps.ts";
import type { CreateJob } from "../../src/schema/job.ts";
import type { JobEvent } from "../../src/schema/event.ts";
import type { CallModel, ModelCall } from "../../src/provider/call.ts";
import { configOf } from "../../src/settings/config.ts";
import { keptOf } from "../../src/submit/kept.ts";
import { planJob } from "../../src/submit/plan.ts";
import { ANSWERED, portsOf } from "./scripted.ts";
import { job, newName, objectOf, passTime } from "./support.ts";

/** The founding article's steps: names and weights are its own. */
export const SIX_STEPS: CreateJob = {
  input: { question: "Why is the sky blue?" },
  steps: [
    {
      name: "Retrieving context",
      type: "http",
      weight: 15,
      url: "https://search.example.com/?q={{input.question}}",
    },
    {
      name: "Building prompt",
      type: "template",
      weight: 5,
      template: "{{steps.Retrieving context.output}}\n\n{{input.question}}",
    },
    {
      name: "Generating draft",
      type: "llm",
      weight: 30,
      prompt: "{{steps.Building prompt.output}}",
    },
    {
      name: "Self-critique",
      type: "llm",
      weight: 10,
      prompt: "What is wrong with this? {{steps.Generating draft.output}}",
    },
    {
      name: "Revising",
      type: "llm",
      weight: 30,
      prompt: "{{steps.Generating draft.output}} / {{steps.Self-critique.output}}",
    },
    {
      name: "Formatting",
      type: "template",
      weight: 10,
      template: "# Answer\n{{steps.Revising.output}}",
    },
  ],
};

const config = configOf({ ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none" });

/** As the Worker would plan it. */
export function planned(request: CreateJob, over: Partial<JobSpec> = {}): JobSpec {
  const uid = `uid-${crypto.randomUUID()}`;
  const httpSteps = (request.steps ?? []).map(({ type }) =>
    type === "http" ? { submittedTo: "https://afterword.example.com" } : null,
  );
  const identity = { id: "test-123", uid, idempotencyKey: "test-123", fingerprint: "sha" };
  const plan = planJob(
    { ...identity, request, tenant: "acme", tier: "default", now: Date.now(), httpSteps },
    config,
  );
  if (!plan.ok) throw new Error(plan.refusals[0]?.detail);
  return { ...plan.spec, ...over };
}

/** Submits a job of these steps under a new name, which it answers. */
export async function submitted(request: CreateJob, over: Partial<JobSpec> = {}): Promise<string> {
  const name = newName();
  await job(name).submit(planned(request, over), keptOf(request));
  return name;
}

/** A model that says what it was asked, and remembers. */
export class Echo {
  readonly asked: string[] = [];

  readonly model: CallModel = async ({ request }: ModelCall, onText) => {
    const { prompt = "" } = request;
    this.asked.push(prompt);
    onText(`<${prompt}>`);
    return ANSWERED;
  };
}

/** Lets a consumer come for the job, as when its message is delivered. */
export function come(name: string, model: CallModel, over: Over = {}) {
  return runAttempts(portsOf(name, model, { needs: null, ...over }));
}

type Over = Partial<AttemptPorts> & { http?: RunHttpStep };

/** Moves the clock on and lets the alarm ring that has come due meanwhile. */
export async function ringAfter(name: string, ms: number): Promise<void> {
  passTime(ms);
  await runDurableObjectAlarm(objectOf(name));
}

export async function stepsOf(name: string): Promise<StepView[]> {
  const found = await job(name).steps();
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

/** What a bar would show, and what would stand beside it. */
export function progressOf(log: JobEvent[]): [number, string][] {
  return log.flatMap((event) =>
    event.type === "progress" ? [[event.progress, event.step] as [number, string]] : [],
  );
}

import type { PlannedStep } from "../domain/job.ts";
import { nanoOf } from "../domain/money.ts";
import { DEFAULT_ANSWER_BYTES, DEFAULT_HTTP_TIMEOUT_MS } from "../domain/step-input.ts";
import { templatesOf } from "../domain/step-templates.ts";
import {
  mostTokensOf,
  readsOf,
  referenceFault,
  type Sizes,
} from "../domain/template-references.ts";
import {
  hasTags,
  MAX_TEMPLATE_CHARS,
  parseTemplate,
  type TemplateNode,
} from "../domain/template.ts";
import type { CreateJob } from "../schema/job.ts";
import { MAX_APPROVAL_BYTES, type Step } from "../schema/step.ts";
import type { Config } from "../settings/config.ts";
import type { Refusal } from "./models.ts";
import { NO_CALLS, planLlm, type LlmPlan } from "./plan-llm.ts";
import type { PlannedCalls, Submission } from "./plan.ts";

/** How long an approval is waited for where the step does not say: a year, in milliseconds. */
const APPROVAL_MS = 31_536_000_000;

/** One model's answer read by another: tokens of the one may be more of the other, for they cut a text differently. */
const TOKENS_READ_AGAIN = 2;

/** What the job says for all its steps. */
type Tried = Pick<PlannedStep, "maxAttempts" | "timeoutMs">;

type Planned = { step: PlannedStep; calls: LlmPlan; refusals: Refusal[] };

/**
 * Plans the steps of a request, each in view of those before it. Pure.
 *
 * `httpSteps`: what `http` steps are sent with, by the index of the step. Of `finishedSteps` no call is to be paid for.
 */
export function planSteps(
  request: CreateJob,
  tried: Tried,
  {
    httpSteps = [],
    finishedSteps = 0,
    toll = { visits: 0 },
  }: Pick<Submission, "httpSteps" | "finishedSteps" | "toll">,
  config: Config,
): PlannedCalls {
  const { steps = [], input, max_cost_usd: maxCostUsd } = request;
  const whole = wholeRefusals(steps);
  if (whole.length > 0) return { refusals: whole, planned: { ...NO_CALLS, steps: [] } };
  const outputs = new Map<string, number>();
  const measured = new Map<string, number>();
  const planned = steps.map((step, index): Planned => {
    const sizes = { input, measured, outputs: new Map(outputs) };
    const { templates, refusals } = templatesIn(step, index, sizes);
    const most = Math.max(0, ...templates.map((nodes) => mostTokensOf(nodes, sizes)));
    const own = { step, index, templates, sizes, toll, ...triedOf(step, tried) };
    const calls = step.type === "llm" ? planLlm({ ...own, step }, request, config) : NO_CALLS;
    if (outputs.has(step.name)) {
      refusals.push({ pointer: `/steps/${index}/name`, detail: "two steps have the same name" });
    }
    outputs.set(step.name, mostOutput(step, calls.answerTokens, most));
    const read = templates.flatMap((nodes) => readsOf(nodes));
    const reads = read.map((one) => steps.findIndex(({ name }) => name === one.step));
    return {
      step: { ...stepOf(step, tried, calls), reads, ...httpSteps[index] },
      calls,
      refusals: [...refusals, ...calls.refusals],
    };
  });
  const first = planned.find(({ step }) => step.type === "llm")?.step;
  const { routes, promptTokens, answerTokens } = first ?? NO_CALLS;
  return {
    refusals: different(planned.flatMap((one) => one.refusals)),
    planned: {
      routes,
      promptTokens,
      answerTokens,
      steps: planned.map(({ step }) => step),
      worstNano: sumOf(planned.slice(finishedSteps), maxCostUsd),
    },
  };
}

function stepOf(step: Step, tried: Tried, calls: LlmPlan): Omit<PlannedStep, "reads"> {
  const { routes, promptTokens, answerTokens } = calls;
  const expires = step.type === "approval" ? step.expires_in_seconds : undefined;
  return {
    name: step.name,
    type: step.type,
    weight: step.weight ?? 1,
    ...triedOf(step, tried),
    routes,
    promptTokens,
    answerTokens,
    ...(step.type === "approval"
      ? { expiresMs: expires === undefined ? APPROVAL_MS : expires * 1_000 }
      : {}),
  };
}

function triedOf(step: Step, tried: Tried): Tried {
  if (step.type !== "llm" && step.type !== "http") return tried;
  const usual = step.type === "http" ? DEFAULT_HTTP_TIMEOUT_MS : tried.timeoutMs;
  return {
    maxAttempts: step.max_attempts ?? tried.maxAttempts,
    timeoutMs: step.timeout_ms ?? usual,
  };
}

/** The templates of a step that parse, and what is wrong with the others, or with what they name. */
function templatesIn(
  step: Step,
  index: number,
  { outputs }: Sizes,
): { templates: TemplateNode[][]; refusals: Refusal[] } {
  const templates: TemplateNode[][] = [];
  const refusals: Refusal[] = [];
  for (const { pointer, text } of templatesOf(step)) {
    const parsed = parseTemplate(text);
    if (parsed.ok) templates.push(parsed.nodes);
    const fault = parsed.ok ? referenceFault(parsed.nodes, outputs) : parsed.fault;
    if (fault === null) continue;
    const field = pointer.slice(1).replaceAll("/", ".");
    refusals.push({ pointer: `/steps/${index}${pointer}`, detail: `${field} ${fault}` });
  }
  return { templates, refusals };
}

/** The most tokens that a step's output may count where a later step's prompt holds it. */
function mostOutput(step: Step, answerTokens: number, rendered: number): number {
  switch (step.type) {
    case "llm":
      return answerTokens * TOKENS_READ_AGAIN;
    case "http":
      return step.max_bytes ?? DEFAULT_ANSWER_BYTES;
    case "template":
      return rendered;
    case "approval":
      return MAX_APPROVAL_BYTES;
  }
}

/** The most all calls together may cost; null where nobody can tell of one. */
function sumOf(planned: Planned[], maxCostUsd: number | undefined): number | null {
  let sum = 0;
  for (const { calls } of planned) {
    if (calls.worstNano === null) return null;
    sum += calls.worstNano;
  }
  return Math.min(sum, maxCostUsd === undefined ? Infinity : nanoOf(maxCostUsd));
}

/** What is wrong with the steps together. */
function wholeRefusals(steps: Step[]): Refusal[] {
  const refusals: Refusal[] = [];
  const say = (detail: string) => refusals.push({ pointer: "/steps", detail });
  if (steps.every(({ weight = 1 }) => weight === 0)) say("no step has a weight");
  const chars = steps
    .flatMap(templatesOf)
    .reduce((sum, { text }) => sum + (hasTags(text) ? text.length : 0), 0);
  // Parsing takes its time with every character. What is long belongs into the input.
  if (chars > MAX_TEMPLATE_CHARS) {
    say(`the templates of all steps are longer than ${MAX_TEMPLATE_CHARS} characters`);
  }
  return refusals;
}

/** What is wrong with what all steps have in common is said once. */
function different(refusals: Refusal[]): Refusal[] {
  return [...new Map(refusals.map((one) => [JSON.stringify(one), one])).values()];
}

import { estimatedPromptTokens } from "../domain/cost.ts";
import type { PlannedStep } from "../domain/job.ts";
import { renderStep } from "../domain/step-input.ts";
import { mostTokensOf, readsOf, type Sizes } from "../domain/template-references.ts";
import { MAX_RENDERED_BYTES, type TemplateNode, type Toll } from "../domain/template.ts";
import { mostPromptTokens, worstCaseNano } from "../domain/worst-case.ts";
import type { CreateJob } from "../schema/job.ts";
import type { LlmStep } from "../schema/step.ts";
import type { Config } from "../settings/config.ts";
import { keptOf } from "./kept.ts";
import { capRefusals, routesOf, type AskedModel, type Refusal } from "./models.ts";

/** What a step's calls to models come to. */
export type LlmPlan = Pick<PlannedStep, "routes" | "promptTokens" | "answerTokens"> & {
  worstNano: number | null;
  refusals: Refusal[];
};

/** Of a step that calls none. */
export const NO_CALLS: LlmPlan = {
  routes: [],
  promptTokens: 0,
  answerTokens: 0,
  worstNano: 0,
  refusals: [],
};

/** An `llm` step, and what is known of it. `sizes`: of what its templates may read. `toll`: of rendering it and others. */
type Asked = {
  step: LlmStep;
  index: number;
  maxAttempts: number;
  templates: TemplateNode[][];
  sizes: Sizes;
  toll: Toll;
};

/** Plans an `llm` step's calls. What the step leaves open the job says. */
export function planLlm(asked: Asked, request: CreateJob, config: Config): LlmPlan {
  const { step, index, maxAttempts, templates, sizes } = asked;
  const params = step.params ?? request.params;
  const paramsAt = step.params === undefined ? "/params" : `/steps/${index}/params`;
  const models = routesOf(
    modelsOf(step, index, request, config),
    { pointer: paramsAt, params },
    config,
  );
  const unsaid = promptRefusals(step, index);
  const likely = unsaid.length > 0 ? NOTHING : likelyTokens(asked, request);
  const answerTokens = params?.max_tokens ?? config.DEFAULT_MAX_TOKENS;
  const { prompt, messages } = step;
  const said = { prompt, messages, params };
  // What is no template is counted as it was said.
  const each = templates
    .filter((nodes) => nodes.some(({ type }) => type !== "text"))
    .reduce((sum, nodes) => sum + mostTokensOf(nodes, sizes), 0);
  const rendered = Math.min(MAX_RENDERED_BYTES, each);
  return {
    routes: models.routes,
    promptTokens: likely.tokens,
    answerTokens,
    worstNano: worstCaseNano({
      prices: models.routes.map(({ price }) => price),
      maxAttempts,
      promptTokens: mostPromptTokens(said) + rendered,
      maxTokens: answerTokens,
      maxCostUsd: undefined,
    }),
    refusals: [
      ...unsaid,
      ...models.refusals,
      ...likely.refusals,
      ...capRefusals(request.max_cost_usd, models.routes, likely.tokens),
    ],
  };
}

function modelsOf(step: LlmStep, index: number, request: CreateJob, config: Config): AskedModel[] {
  const at = (isOwn: boolean) => (isOwn ? `/steps/${index}` : "");
  const own = step.fallback_models !== undefined;
  const fallbacks = step.fallback_models ?? request.fallback_models ?? [];
  return [
    {
      pointer: `${at(step.model !== undefined)}/model`,
      name: step.model ?? request.model ?? config.DEFAULT_MODEL,
    },
    ...fallbacks.map((name, place) => ({ pointer: `${at(own)}/fallback_models/${place}`, name })),
  ];
}

function promptRefusals({ prompt, messages }: LlmStep, index: number): Refusal[] {
  if ((prompt === undefined) !== (messages === undefined)) return [];
  const detail =
    prompt === undefined ? "prompt is required" : "exactly one of prompt and messages is required";
  return [{ pointer: `/steps/${index}/prompt`, detail }];
}

/** What of an output stands in for it while there is none: it is JSON, and next to nothing. */
const NO_OUTPUT = "null";

type Likely = { tokens: number; refusals: Refusal[] };

const NOTHING: Likely = { tokens: 0, refusals: [] };

/** What a step's own text with the job's input is likely to count; what it reads of other steps comes on top. */
function likelyTokens({ index, templates, toll }: Asked, request: CreateJob): Likely {
  const earlier = (request.steps ?? []).slice(0, index);
  const outputs = earlier.map(({ name }) => ({ name, output: NO_OUTPUT }));
  const rendered = renderStep(keptOf(request), index, outputs, toll);
  if (rendered.type === "llm") {
    return { tokens: estimatedPromptTokens(rendered.request), refusals: [] };
  }
  // With outputs it may be another matter.
  const isOpen = templates.some((nodes) => readsOf(nodes).length > 0);
  const detail = rendered.type === "refused" ? rendered.reason : "";
  return { tokens: 0, refusals: isOpen ? [] : [{ pointer: `/steps/${index}`, detail }] };
}

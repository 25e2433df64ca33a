import type { ChatMessage, ModelParams } from "../schema/chat.ts";
import type { HttpStep, KeptStep, LlmStep } from "../schema/step.ts";
import { depthOf } from "./json-depth.ts";
import type { RenderedHttp, RenderedStep, RenderStep, StepOutput } from "./step-run.ts";
import { bodyEscaping, JSON_TYPE, templatesOf } from "./step-templates.ts";
import { readsOf } from "./template-references.ts";
import { Bounds, parseTemplate, renderTemplate, type Escaping } from "./template.ts";

/** Deeper than any request may nest, an output is not read as JSON: what writes it again goes down into it. */
const MAX_JSON_DEPTH = 64;

/** Thrown where a step's templates make no sense with what they are given. */
class Refused extends Error {
  override name = "Refused";
}

/** A step with the job's input and the outputs of the steps before it filled in. Pure; never throws. */
export const renderStep: RenderStep = (request, index, outputs, whole) => {
  const { steps = [], input, params } = request;
  const step = steps[index];
  if (step === undefined) return { type: "refused", reason: "The job has no such step" };
  try {
    const places = new Map(steps.map(({ name }, at) => [name, at + 1]));
    const data = { input, steps: readable(step, outputs, places) };
    const bounds = new Bounds(whole);
    const render = (text: string, escaping: Escaping = "none") => {
      const rendered = renderTemplate(text, data, escaping, bounds);
      if (rendered.ok) return rendered.text;
      throw new Refused(rendered.reason);
    };
    return rendered(step, render, params);
  } catch (error) {
    if (error instanceof Refused) return { type: "refused", reason: error.message };
    return { type: "refused", reason: "The step's templates could not be rendered" };
  }
};

type Render = (text: string, escaping?: Escaping) => string;

function rendered(step: KeptStep, render: Render, params: ModelParams | undefined): RenderedStep {
  switch (step.type) {
    case "llm":
      return { type: "llm", request: llmRequest(step, render, params) };
    case "http":
      return httpRequest(step, render);
    case "template":
      return { type: "template", text: render(step.template) };
    case "approval":
      return { type: "approval", message: render(step.message ?? "") };
  }
}

function llmRequest(step: LlmStep, render: Render, jobs: ModelParams | undefined) {
  const params = step.params ?? jobs;
  const said = params === undefined ? {} : { params };
  if (step.messages !== undefined) {
    return { messages: step.messages.map((message) => messageWith(message, render)), ...said };
  }
  const prompt = render(step.prompt ?? "");
  if (prompt === "") throw new Refused("The step's prompt is empty");
  return { prompt, ...said };
}

/** Texts are templates; addresses of images and what models called are not. */
function messageWith<T extends ChatMessage>(message: T, render: Render): T {
  const { content } = message;
  if (typeof content === "string") return { ...message, content: render(content) };
  if (!Array.isArray(content)) return message;
  const parts = content.map((part) =>
    part.type === "text" ? { type: part.type, text: render(part.text) } : part,
  );
  return { ...message, content: parts };
}

function httpRequest(step: Omit<HttpStep, "headers">, render: Render): RenderedHttp {
  const { method = "GET", content_type: contentType = JSON_TYPE } = step;
  const { max_bytes: maxBytes = DEFAULT_ANSWER_BYTES } = step;
  const url = render(step.url, "url");
  // A value that is dots alone would lead out of the path it stands in.
  if (climbs(url)) throw new Refused("The path of the step's URL climbs");
  const escaping = bodyEscaping(step);
  const body = step.body === undefined ? null : render(step.body, escaping);
  if (body !== null && escaping === "json" && !isJson(body)) {
    throw new Refused("The step's body is not JSON");
  }
  return { type: "http", method, url, body, contentType, maxBytes };
}

/** Most bytes of an `http` step's answer, and how long it may take, where the step does not say. */
export const DEFAULT_ANSWER_BYTES = 262_144;
export const DEFAULT_HTTP_TIMEOUT_MS = 30_000;

const DOTS = /(^|\/)(\.|%2e){1,2}(\/|$)/i;

/** Whether a URL's path holds `.` or `..`, which its parser would take away with what stands before. */
export function climbs(url: string): boolean {
  const [path = ""] = url.split(/[?#]/, 1);
  return DOTS.test(path);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The outputs as templates find them: as JSON only those that are read so, and then they must be. */
function readable(
  step: KeptStep,
  outputs: readonly StepOutput[],
  places: ReadonlyMap<string, number>,
): Record<string, object> {
  const asJson = new Set(templatesOf(step).flatMap(({ text }) => jsonIn(text)));
  const entries = outputs.map(({ name, output }): [string, object] => {
    if (!asJson.has(name)) return [name, { output }];
    return [name, { output, json: parsed(output, places.get(name) ?? 0) }];
  });
  return Object.fromEntries(entries);
}

function jsonIn(text: string): string[] {
  if (!text.includes(".json")) return [];
  const parsed = parseTemplate(text);
  if (!parsed.ok) return [];
  return readsOf(parsed.nodes).flatMap(({ step, asJson }) => (asJson ? [step] : []));
}

/** `place`: of the step in the job, from 1. */
function parsed(output: string, place: number): unknown {
  const not = `The output of step ${place} is not JSON`;
  if (depthOf(output) > MAX_JSON_DEPTH) throw new Refused(not);
  try {
    return JSON.parse(output);
  } catch {
    throw new Refused(not);
  }
}

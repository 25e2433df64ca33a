import type { ChatMessage, ModelParams } from "../schema/chat.ts";
import type { KeptRequest } from "../schema/job.ts";
import type { HttpStep, KeptStep, LlmStep } from "../schema/step.ts";
import { depthOf } from "./json-depth.ts";
import { bodyEscaping, JSON_TYPE, templatesOf } from "./step-templates.ts";
import { readsAsJson } from "./template-references.ts";
import { parseTemplate, renderTemplate, type Escaping } from "./template.ts";

/** The output of a finished step, in the job's order. */
export type StepOutput = { name: string; output: string };

/** What one model is asked: as of a job of one call. */
export type LlmRequest = Pick<KeptRequest, "prompt" | "messages"> & { params?: ModelParams };

/** What is sent to a URL. `contentType`: null where there is no body. */
export type HttpRequest = {
  method: "GET" | "POST";
  url: string;
  contentType: string | null;
  body: string | null;
};

/** A step with its templates rendered. `reason`: a sentence, with nothing of the caller's in it. */
export type RenderedStep =
  | { type: "llm"; request: LlmRequest }
  | ({ type: "http" } & HttpRequest)
  | { type: "template"; text: string }
  | { type: "approval"; message: string }
  | { type: "refused"; reason: string };

/** Deeper than any request may nest, an output is not read as JSON: what writes it again goes down into it. */
const MAX_JSON_DEPTH = 64;

/** Thrown where a step's templates make no sense with what they are given. */
class Refused extends Error {
  override name = "Refused";
}

/** What a step does, with the job's input and the outputs of the steps before it filled in. Pure; never throws. */
export function renderStep(
  request: Pick<KeptRequest, "steps" | "input" | "params">,
  index: number,
  outputs: readonly StepOutput[],
): RenderedStep {
  const step = request.steps?.[index];
  if (step === undefined) return { type: "refused", reason: "The job has no such step" };
  try {
    const data = { input: request.input, steps: readable(step, outputs) };
    const render = (text: string, escaping: Escaping = "none") => {
      const rendered = renderTemplate(text, data, escaping);
      if (rendered.ok) return rendered.text;
      throw new Refused(rendered.reason);
    };
    return rendered(step, render, request.params);
  } catch (error) {
    if (error instanceof Refused) return { type: "refused", reason: error.message };
    return { type: "refused", reason: "The step's templates could not be rendered" };
  }
}

type Render = (text: string, escaping?: Escaping) => string;

function rendered(step: KeptStep, render: Render, params: ModelParams | undefined): RenderedStep {
  switch (step.type) {
    case "llm":
      return { type: "llm", request: llmRequest(step, render, params) };
    case "http":
      return { type: "http", ...httpRequest(step, render) };
    case "template":
      return { type: "template", text: render(step.template) };
    case "approval":
      return { type: "approval", message: render(step.message ?? "") };
  }
}

function llmRequest(step: LlmStep, render: Render, jobs: ModelParams | undefined): LlmRequest {
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

function httpRequest(step: Omit<HttpStep, "headers">, render: Render): HttpRequest {
  const method = step.method ?? "GET";
  const url = render(step.url, "url");
  // A value that is dots alone would lead out of the path it stands in.
  if (climbs(url)) throw new Refused("The path of the step's URL climbs");
  if (step.body === undefined) return { method, url, contentType: null, body: null };
  const escaping = bodyEscaping(step);
  const body = render(step.body, escaping);
  if (escaping === "json" && !isJson(body)) throw new Refused("The step's body is not JSON");
  return { method, url, contentType: step.content_type ?? JSON_TYPE, body };
}

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
function readable(step: KeptStep, outputs: readonly StepOutput[]): Record<string, object> {
  const asJson = new Set(templatesOf(step).flatMap(({ text }) => jsonIn(text)));
  const entries = outputs.map(({ name, output }, index) => [
    name,
    asJson.has(name) ? { output, json: parsed(output, index) } : { output },
  ]);
  return Object.fromEntries(entries) as Record<string, object>;
}

function jsonIn(text: string): string[] {
  const parsed = parseTemplate(text);
  return parsed.ok ? [...readsAsJson(parsed.nodes)] : [];
}

function parsed(output: string, index: number): unknown {
  const not = `The output of step ${index + 1} is not JSON`;
  if (depthOf(output) > MAX_JSON_DEPTH) throw new Refused(not);
  try {
    return JSON.parse(output);
  } catch {
    throw new Refused(not);
  }
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { PlannedStep } from "../../src/domain/job.ts";
import { nanoOf } from "../../src/domain/money.ts";
import { CreateJob } from "../../src/schema/job.ts";
import { parseConfig } from "../../src/settings/config.ts";
import { planJob } from "../../src/submit/plan.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const KEYS = { OPENAI_API_KEY: "key", ANTHROPIC_API_KEY: "key" };
const CONFIG = parseConfig({ SIGNING_KEY, ...KEYS });

function plan(job: object) {
  const request = CreateJob.parse(job);
  const identity = { id: "j", uid: "u", idempotencyKey: null, fingerprint: "f" };
  const submission = { ...identity, request, tenant: "acme", tier: "default" as const, now: 0 };
  const httpSteps = (request.steps ?? []).map(({ type }) =>
    type === "http" ? { submittedTo: "https://api.example.com", headers: "sealed" } : null,
  );
  return planJob({ ...submission, httpSteps }, CONFIG);
}

function planned(job: object) {
  const result = plan(job);
  if (!result.ok) throw new Error(JSON.stringify(result.refusals));
  return result;
}

function stepsOf(...steps: object[]): PlannedStep[] {
  return planned({ steps, input: { topic: "Rain" } }).spec.steps ?? [];
}

function refusalsOf(...steps: object[]) {
  const result = plan({ steps, input: { topic: "Rain" } });
  return result.ok ? [] : result.refusals;
}

const LLM = { type: "llm", name: "ask", prompt: "On {{input.topic}}" };
const HTTP = { type: "http", name: "look up", url: "https://a.example/?q={{input.topic}}" };
const TEMPLATE = { type: "template", name: "build", template: "{{steps.look up.output}}" };
const APPROVAL = { type: "approval", name: "ok" };
const GPT = {
  name: "gpt-4o",
  provider: "openai",
  model: "gpt-4o",
  price: { input: 2.5, output: 10 },
};
const long = (name: string) => ({
  type: "template",
  name,
  template: `{{input}}${"x".repeat(140_000)}`,
});
const LLM2 = { type: "llm", name: "ask again", prompt: "{{steps.ask.output}}" };
const LATER = "{{#steps.ask.json.l}}{{steps.ask.output}}{{/steps.ask.json.l}}";

describe("the steps of a job", () => {
  it("are planned with the contract's defaults", () => {
    const common = { weight: 1, maxAttempts: 3, timeoutMs: 90_000, reads: [] };
    const none = { routes: [], promptTokens: 0, answerTokens: 0 };
    expect(stepsOf(HTTP, TEMPLATE, LLM, APPROVAL)).toEqual([
      {
        ...common,
        ...none,
        name: "look up",
        type: "http",
        timeoutMs: 30_000,
        headers: "sealed",
        submittedTo: "https://api.example.com",
      },
      { ...common, ...none, name: "build", type: "template", reads: [0] },
      {
        ...common,
        name: "ask",
        type: "llm",
        routes: [GPT],
        promptTokens: 8,
        answerTokens: 4_096,
      },
      { ...common, ...none, name: "ok", type: "approval", expiresMs: 31_536_000_000 },
    ]);
  });

  it("say for themselves what the job says for all", () => {
    const own = {
      max_attempts: 5,
      timeout_ms: 1_000,
      model: "gpt-4o-mini",
      fallback_models: [],
      params: { max_tokens: 7 },
      weight: 30,
    };
    const common = {
      max_attempts: 2,
      timeout_ms: 2_000,
      model: "gpt-4o",
      fallback_models: ["gpt-4o-mini"],
      params: { max_tokens: 9 },
    };
    const steps = [LLM, { ...LLM, name: "again", ...own }, { ...HTTP, timeout_ms: 5_000 }];
    const { spec } = planned({ ...common, steps, input: {} });
    expect(spec.steps).toMatchObject([
      { maxAttempts: 2, timeoutMs: 2_000, answerTokens: 9, weight: 1 },
      { maxAttempts: 5, timeoutMs: 1_000, answerTokens: 7, weight: 30 },
      { maxAttempts: 2, timeoutMs: 5_000 },
    ]);
    expect(spec.steps?.map(({ routes }) => routes.map(({ name }) => name))).toEqual([
      ["gpt-4o", "gpt-4o-mini"],
      ["gpt-4o-mini"],
      [],
    ]);
  });

  it("give the job the models of the first that calls any", () => {
    const { spec } = planned({ steps: [APPROVAL, { ...LLM, model: "gpt-4o-mini" }, LLM2] });
    expect(spec.routes.map(({ name }) => name)).toEqual(["gpt-4o-mini"]);
    expect(planned({ steps: [APPROVAL] }).spec).toMatchObject({ routes: [], promptTokens: 0 });
  });

  it("know what they read, once for each time", () => {
    const reads = {
      type: "llm",
      name: "last",
      messages: [
        { role: "system", content: "{{steps.build.output}}" },
        { role: "user", content: "{{steps.look up.json.a}}{{steps.build.output}}" },
      ],
    };
    expect(stepsOf(HTTP, TEMPLATE, reads).at(-1)?.reads).toEqual([1, 0, 1]);
  });
});

describe("steps that are refused", () => {
  it.each<[string, object[], string, string]>([
    ["a name twice", [LLM, LLM], "/steps/1/name", "two steps have the same name"],
    [
      "a later step's output",
      [LLM2, LLM],
      "/steps/0/prompt",
      'prompt names "steps.ask.output", which is of no earlier step',
    ],
    [
      "its own output",
      [{ ...LLM, prompt: "{{steps.ask.output}}" }],
      "/steps/0/prompt",
      'prompt names "steps.ask.output", which is of no earlier step',
    ],
    [
      "an unknown name in a message's part",
      [
        {
          type: "llm",
          name: "a",
          messages: [{ role: "user", content: [{ type: "text", text: "{{x}}" }] }],
        },
      ],
      "/steps/0/messages/0/content/0/text",
      'messages.0.content.0.text names "x", which is neither input nor a step\'s output',
    ],
    [
      "a bad template",
      [LLM, { ...TEMPLATE, template: "{{>x}}" }],
      "/steps/1/template",
      "template has a partial",
    ],
    [
      "a bad URL",
      [{ ...HTTP, url: "https://a.example/{{x" }],
      "/steps/0/url",
      "url has a tag that is not closed",
    ],
    [
      "a bad message",
      [{ ...APPROVAL, message: "{{>x}}" }],
      "/steps/0/message",
      "message has a partial",
    ],
    [
      "an unknown model",
      [HTTP, LLM, { ...LLM2, model: "nope" }],
      "/steps/2/model",
      'model "nope" is not on the list of models',
    ],
    [
      "an unknown fallback",
      [{ ...LLM, fallback_models: ["gpt-4o", "nope"] }],
      "/steps/0/fallback_models/1",
      'model "nope" is not on the list of models',
    ],
    [
      "a parameter the model ignores",
      [{ ...LLM, model: "claude-sonnet-4-5", params: { seed: 1 } }],
      "/steps/0/params/seed",
      'seed is ignored by "claude-sonnet-4-5"',
    ],
    ["no prompt", [{ type: "llm", name: "a" }], "/steps/0/prompt", "prompt is required"],
    [
      "prompt and messages",
      [{ ...LLM, messages: [{ role: "user", content: "x" }] }],
      "/steps/0/prompt",
      "exactly one of prompt and messages is required",
    ],
    [
      "a prompt that is empty whatever happens",
      [{ ...LLM, prompt: "{{input.missing}}" }],
      "/steps/0",
      "The step's prompt is empty",
    ],
    ["no weight at all", [{ ...LLM, weight: 0 }], "/steps", "no step has a weight"],
    [
      "templates that are long together",
      [long("a"), long("b")],
      "/steps",
      "the templates of all steps are longer than 262144 characters",
    ],
  ])("for %s", (_, steps, pointer, detail) => {
    expect(refusalsOf(...steps)).toEqual([{ pointer, detail }]);
  });

  it("for the job's model are told once, where it stands", () => {
    const result = plan({ steps: [LLM, LLM2], model: "nope", params: { seed: 1 } });
    expect(result.ok ? [] : result.refusals.map(({ pointer }) => pointer)).toEqual(["/model"]);
  });

  it("for a cap that does not pay for one of the prompts", () => {
    const long = { ...LLM2, prompt: "x".repeat(40_000) };
    const result = plan({ steps: [LLM, long], max_cost_usd: 0.02 });
    expect(result.ok ? [] : result.refusals).toEqual([
      {
        pointer: "/max_cost_usd",
        detail: 'max_cost_usd does not pay for the prompt with "gpt-4o"',
      },
    ]);
  });
});

function worst(job: object): number {
  return planned(job).worstNano ?? 0;
}

describe("the most a job of several steps may cost", () => {
  it("is the sum of its models' calls, and no more than its cap", () => {
    const one = worst({ steps: [LLM] });
    expect(one).toBeGreaterThan(nanoOf(3 * 4_096 * 0.000_01));
    expect(worst({ steps: [LLM, HTTP, APPROVAL] })).toBe(one);
    expect(worst({ steps: [LLM, { ...LLM, name: "b" }] })).toBe(2 * one);
    expect(worst({ steps: [LLM, LLM2], max_cost_usd: 0.01 })).toBe(nanoOf(0.01));
    expect(worst({ steps: [APPROVAL] })).toBe(0);
  });

  it("counts what is read: the input, an answer and a page", () => {
    const base = worst({ steps: [LLM, { ...LLM2, prompt: "x".repeat(5) }] });
    const reads = worst({ steps: [LLM, LLM2] });
    // Read again a token of one model may be two of another.
    expect(reads - base).toBeGreaterThan(nanoOf(3 * 2 * 4_096 * 0.000_002_5));
    const http = { ...HTTP, max_bytes: 1_000_000 };
    const page = { ...LLM, prompt: "{{steps.look up.output}}" };
    expect(worst({ steps: [http, page] })).toBeGreaterThan(nanoOf(3 * 2.5));
    const built = { ...page, prompt: "{{steps.build.output}}" };
    expect(worst({ steps: [http, TEMPLATE, built] })).toBeGreaterThan(nanoOf(3 * 2.5));
  });

  it("is bounded though a list is read over and over", () => {
    const lists = { ...LLM2, prompt: LATER };
    const most = nanoOf(3 * (1_100_000 * 0.000_002_5 + 2 * 4_096 * 0.000_01));
    expect(worst({ steps: [LLM, lists] })).toBeLessThan(most);
  });
});

it("whatever steps there are, each reads only what came before it", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const step = fc.record({ name, reads: fc.array(name, { maxLength: 2 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (drawn) => {
      const steps = drawn.map(({ name, reads }) => ({
        type: "template",
        name,
        template: `x${reads.map((one) => `{{steps.${one}.output}}`).join("")}`,
      }));
      const result = plan({ steps });
      const names = drawn.map(({ name }) => name);
      const isSound = drawn.every(
        ({ name, reads }, at) =>
          names.indexOf(name) === at && reads.every((one) => names.slice(0, at).includes(one)),
      );
      expect(result.ok).toBe(isSound);
      if (!result.ok) return;
      result.spec.steps?.forEach(({ reads }, at) => {
        expect(reads.map((place) => names[place])).toEqual(drawn[at]?.reads);
        expect(reads.every((place) => place < at)).toBe(true);
      });
    }),
  );
});

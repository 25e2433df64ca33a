import { describe, expect, it } from "vitest";

import { climbs, renderStep } from "../../src/domain/step-input.ts";
import type { RenderedStep } from "../../src/domain/step-run.ts";
import { bodyEscaping } from "../../src/domain/step-templates.ts";
import { MAX_RENDERED_BYTES } from "../../src/domain/template.ts";
import type { ModelParams } from "../../src/schema/chat.ts";
import type { KeptStep } from "../../src/schema/step.ts";

type Unnamed = KeptStep extends infer S ? (S extends KeptStep ? Omit<S, "name"> : never) : never;

/** A step behind two others, which left a text and some JSON. */
function rendered(
  step: Unnamed,
  {
    input = { topic: 'a "b" & c', n: 2 },
    params,
    outputs = [
      { name: "draft", output: "A draft" },
      { name: "look up", output: '{"hits":[{"title":"T1"},{"title":"T2"}]}' },
    ],
  }: { input?: unknown; params?: ModelParams; outputs?: { name: string; output: string }[] } = {},
): RenderedStep {
  const earlier = ["draft", "look up"].map((name): KeptStep => ({
    type: "template",
    name,
    template: "x",
  }));
  const steps = [...earlier, { ...step, name: "it" }];
  return renderStep({ steps, input, ...(params === undefined ? {} : { params }) }, 2, outputs);
}

describe("an llm step", () => {
  it("asks its prompt, filled in, with its own params or else the job's", () => {
    const step = { type: "llm", prompt: "On {{input.topic}}: {{steps.draft.output}}" } as const;
    const prompt = 'On a "b" & c: A draft';
    expect(rendered(step)).toEqual({ type: "llm", request: { prompt } });
    const params = { temperature: 1 };
    expect(rendered(step, { params })).toEqual({ type: "llm", request: { prompt, params } });
    const own = { max_tokens: 5 };
    expect(rendered({ ...step, params: own }, { params })).toMatchObject({
      request: { params: own },
    });
  });

  it("asks its messages, whose texts are filled in and nothing else of them", () => {
    const image = { type: "image_url" as const, image_url: { url: "https://a.example/{{x}}" } };
    const toolCalls = [
      { id: "1", type: "function" as const, function: { name: "f", arguments: "{{x}}" } },
    ];
    const messages = [
      { role: "system" as const, content: "{{input.n}} sentences", name: "s" },
      {
        role: "user" as const,
        content: [{ type: "text" as const, text: "{{steps.draft.output}}" }, image],
      },
      { role: "assistant" as const, content: null, tool_calls: toolCalls },
    ];
    expect(rendered({ type: "llm", messages })).toEqual({
      type: "llm",
      request: {
        messages: [
          { role: "system", content: "2 sentences", name: "s" },
          { role: "user", content: [{ type: "text", text: "A draft" }, image] },
          messages[2],
        ],
      },
    });
  });

  it("is refused where nothing is left to ask", () => {
    expect(rendered({ type: "llm", prompt: "{{input.missing}}" })).toEqual({
      type: "refused",
      reason: "The step's prompt is empty",
    });
  });
});

describe("an http step", () => {
  const http = { type: "http" as const, url: "https://a.example/{{input.topic}}?n={{input.n}}" };

  it("asks its URL, with values that stay in their places", () => {
    expect(rendered(http)).toEqual({
      type: "http",
      method: "GET",
      url: "https://a.example/a%20%22b%22%20%26%20c?n=2",
      body: null,
      contentType: "application/json",
      maxBytes: 262_144,
    });
  });

  it("posts JSON with values that stay in their places", () => {
    const body = '{"q":"{{input.topic}}","n":{{input.n}},"hits":{{steps.look up.json.hits}}}';
    const step = rendered({ ...http, method: "POST", body, max_bytes: 10 });
    if (step.type !== "http") throw new Error(step.type);
    expect(JSON.parse(step.body ?? "")).toEqual({
      q: 'a "b" & c',
      n: 2,
      hits: [{ title: "T1" }, { title: "T2" }],
    });
    expect(step.maxBytes).toBe(10);
  });

  it("posts a form and a text as their types ask", () => {
    const post = { ...http, method: "POST" as const, body: "q={{input.topic}}" };
    const of = (content_type: string) => rendered({ ...post, content_type });
    expect(of("application/x-www-form-urlencoded")).toMatchObject({
      body: "q=a%20%22b%22%20%26%20c",
      contentType: "application/x-www-form-urlencoded",
    });
    expect(of("text/plain")).toMatchObject({ body: 'q=a "b" & c' });
  });

  it("is refused where its body is not JSON, before anything is sent", () => {
    const body = '{"q":{{input.topic}}}';
    expect(rendered({ ...http, method: "POST", body })).toEqual({
      type: "refused",
      reason: "The step's body is not JSON",
    });
  });

  it.each(["..", ".", "%2e.", "../x", "x/.."])(
    "is refused where a value would lead out of its path: %s",
    (topic) => {
      const url = "https://a.example/users/{{&input.topic}}/mail";
      expect(rendered({ type: "http", url }, { input: { topic } })).toEqual({
        type: "refused",
        reason: "The path of the step's URL climbs",
      });
    },
  );

  it("climbs by segments of dots alone, and not in its query", () => {
    const climbing = [
      "https://a.example/..",
      "https://a.example/x/%2E%2e/",
      "https://a.example/./x",
    ];
    expect(climbing.map(climbs)).toEqual([true, true, true]);
    const level = ["https://a.example/...", "https://a.example/x..y", "https://a.example/?a=/../"];
    expect(level.map(climbs)).toEqual([false, false, false]);
  });
});

it.each([
  [undefined, "json"],
  ["application/json", "json"],
  ["Application/JSON; charset=utf-8", "json"],
  ["application/vnd.api+json", "json"],
  ["application/x-www-form-urlencoded", "url"],
  ["text/plain", "none"],
  ["application/jsonl", "none"],
])("values in a body of type %s are written for %s", (content_type, escaping) => {
  expect(bodyEscaping({ content_type })).toBe(escaping);
});

it("a template step is its text, an approval what is asked", () => {
  const template =
    "{{#steps.look up.json.hits}}- {{title}}\n{{/steps.look up.json.hits}}{{input.n}}";
  expect(rendered({ type: "template", template })).toEqual({
    type: "template",
    text: "- T1\n- T2\n2",
  });
  const message = "Send {{steps.draft.output}}?";
  expect(rendered({ type: "approval", message })).toEqual({
    type: "approval",
    message: "Send A draft?",
  });
  expect(rendered({ type: "approval" })).toEqual({ type: "approval", message: "" });
});

describe("an output", () => {
  const template = "{{steps.draft.json.a}}";

  it.each(["A draft", "", '{"a":1', `${"[".repeat(65)}${"]".repeat(65)}`])(
    "that is read as JSON must be some: %s",
    (output) => {
      const outputs = [{ name: "draft", output }];
      expect(rendered({ type: "template", template }, { outputs })).toEqual({
        type: "refused",
        reason: "The output of step 1 is not JSON",
      });
    },
  );

  it("may be anything where it is read as it is", () => {
    const step = { type: "template" as const, template: "{{steps.draft.output}}" };
    expect(rendered(step, { outputs: [{ name: "draft", output: "{" }] })).toEqual({
      type: "template",
      text: "{",
    });
  });

  it("of a step with the name of what objects inherit is found like any other", () => {
    const steps: KeptStep[] = [
      { type: "template", name: "__proto__", template: "x" },
      { type: "template", name: "it", template: "{{steps.__proto__.output}}" },
    ];
    const outputs = [{ name: "__proto__", output: "found" }];
    expect(renderStep({ steps }, 1, outputs)).toEqual({ type: "template", text: "found" });
  });
});

it("what comes to too much, or does not parse, or is not there is refused and not thrown", () => {
  const input = "x".repeat(MAX_RENDERED_BYTES);
  const step = { type: "template" as const, template: "{{input}}!" };
  expect(rendered(step, { input })).toMatchObject({ type: "refused" });
  expect(rendered({ type: "template", template: "{{#input}}" })).toMatchObject({ type: "refused" });
  expect(renderStep({ steps: [] }, 0, [])).toMatchObject({ type: "refused" });
});

/** A step that says the same so many times. */
function said(content: string, times: number) {
  const messages = Array.from({ length: times }, () => ({ role: "user" as const, content }));
  return { type: "llm" as const, messages };
}

describe("many templates in one step", () => {
  it("are bounded together in what they come to", () => {
    const input = ["x".repeat(MAX_RENDERED_BYTES / 4)];
    expect(rendered(said("{{input}}", 3), { input }).type).toBe("llm");
    expect(rendered(said("{{input}}", 4), { input })).toEqual({
      type: "refused",
      reason: `The templates render to more than ${MAX_RENDERED_BYTES} bytes`,
    });
  });

  it("are bounded together in how long they take", () => {
    const input = Array.from({ length: 100 }, () => 1);
    const silent = "{{#input}}{{#input}}{{/input}}{{/input}}";
    expect(rendered(said(silent, 1), { input }).type).toBe("llm");
    expect(rendered(said(silent, 100), { input })).toEqual({
      type: "refused",
      reason: "The templates take too long to render",
    });
  });
});

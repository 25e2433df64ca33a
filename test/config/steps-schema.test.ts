import { describe, expect, it } from "vitest";

import { CreateJob } from "../../src/schema/job.ts";
import { keptOf } from "../../src/submit/kept.ts";

const LLM = { type: "llm", name: "ask", prompt: "On {{input.topic}}" };
const HTTP = { type: "http", name: "look up", url: "https://a.example/?q={{input.topic}}" };

function faults(job: object): string[][] | undefined {
  const { error } = CreateJob.safeParse(job);
  return error?.issues.map(({ path, message }) => [path.join("/"), message]);
}

function many(count: number): object[] {
  return Array.from({ length: count }, (_, at) => ({ ...LLM, name: String(at) }));
}

describe("the shape of a job", () => {
  it("is one of prompt, messages and steps", () => {
    const oneOf = "exactly one of prompt, messages and steps is required";
    expect(faults({})).toEqual([["prompt", "prompt is required"]]);
    expect(faults({ prompt: "x", steps: [LLM] })).toEqual([["prompt", oneOf]]);
    expect(faults({ prompt: "x", input: 1 })).toEqual([["input", "input needs steps"]]);
    expect(faults({ steps: [LLM], input: null })).toBeUndefined();
  });

  it.each(["", "a.b", "a{b", "a}b", " a", "a ", "a\nb", "x".repeat(101)])(
    "has no step of the name %j",
    (name) => {
      const places = faults({ steps: [{ ...LLM, name }] })?.map(([place]) => place);
      expect(new Set(places)).toEqual(new Set(["steps/0/name"]));
    },
  );

  it("has at most 32 steps", () => {
    expect(faults({ steps: many(32) })).toBeUndefined();
    expect(faults({ steps: many(33) })).toHaveLength(1);
    expect(faults({ steps: [] })).toHaveLength(1);
  });
});

it("a request is kept without the values of its steps' headers, and with all else", () => {
  const headers = { authorization: "Bearer secret" };
  const request = CreateJob.parse({
    steps: [LLM, { ...HTTP, headers }],
    input: { a: 1 },
    callback_headers: { "x-y": "z" },
    webhook_url: "https://a.example/",
  });
  expect(keptOf(request)).toEqual({
    steps: [LLM, HTTP],
    input: { a: 1 },
    webhook_url: "https://a.example/",
  });
  expect(request.steps?.[1]).toEqual({ ...HTTP, headers });
});

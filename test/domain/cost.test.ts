import { describe, expect, it } from "vitest";

import {
  costOf,
  estimatedPromptTokens,
  estimatedUsage,
  type Price,
} from "../../src/domain/cost.ts";
import { Usage, type ChatMessage } from "../../src/schema/chat.ts";
import { CreateJob } from "../../src/schema/job.ts";

const PRICE: Price = { input: 2.5, output: 10 };
const FREE: Price = { input: 0, output: 0 };

function usageOf(prompt_tokens: number, completion_tokens: number): Usage {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

describe("invariant 10: the cost of a call", () => {
  it.each<[string, Price | null, Usage | null, number | null]>([
    ["its tokens' price, each kind at its own", PRICE, usageOf(1_000, 100), 0.0035],
    ["the price of the prompt where nothing was said", PRICE, usageOf(1_000, 0), 0.0025],
    ["nothing where nothing was used", PRICE, usageOf(0, 0), 0],
    ["nothing where the model is nobody's to bill", FREE, usageOf(1_000, 100), 0],
    ["unknown where the usage is", PRICE, null, null],
    ["unknown where the price is", null, usageOf(1_000, 100), null],
    ["unknown where one of the prices is", { ...PRICE, output: null }, usageOf(1_000, 100), null],
    ["unknown where the other is", { ...PRICE, input: null }, usageOf(1_000, 100), null],
  ])("is %s", (_, price, usage, cost) => {
    const told = costOf(price, usage);
    if (cost === null) return expect(told).toBeNull();
    expect(told).toBeCloseTo(cost, 12);
  });
});

const image: ChatMessage = {
  role: "user",
  content: [
    { type: "text", text: "What is " },
    { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(4_000)}` } },
    { type: "text", text: "this?" },
  ],
};
const call: ChatMessage = {
  role: "assistant",
  content: null,
  tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
};

/** Three tokens for the whole and three for each message, and one for every four bytes of what is said. */
const FORM = 6;

describe("the estimate of a prompt", () => {
  it.each<[string, Partial<CreateJob>, number]>([
    ["a short prompt", { prompt: "Why is the sky blue?" }, FORM + 5],
    ["a prompt of one character", { prompt: "?" }, FORM + 1],
    ["English", { prompt: "x".repeat(4_000) }, FORM + 1_000],
    ["Chinese, three bytes a character", { prompt: "天空为什么是蓝色的" }, FORM + 7],
    ["emoji, four bytes each", { prompt: "😀".repeat(10) }, FORM + 10],
    [
      "two messages, the form of both counted",
      {
        messages: [
          { role: "system", content: "Answer briefly!!" },
          { role: "user", content: "Why?" },
        ],
      },
      3 + 2 * 3 + 5,
    ],
    ["content in parts, of which only the text is known", { messages: [image] }, FORM + 4],
    ["what the model called, as it was said", { messages: [call] }, FORM + 20],
    [
      "tools, as they are written",
      {
        prompt: "Why?",
        params: { tools: [{ type: "function", function: { name: "look_up" } }] },
      },
      FORM + 14,
    ],
  ])("counts %s", (_, request, tokens) => {
    expect(estimatedPromptTokens(CreateJob.parse(request))).toBe(tokens);
  });
});

describe("the usage of a call whose provider told none", () => {
  it.each([
    [12, 0, 0],
    [12, 1, 1],
    [12, 400, 100],
    [0, 401, 101],
  ])("is the prompt's %i tokens and, of %i bytes said, %i", (prompt, bytes, completion) => {
    const usage = estimatedUsage(prompt, bytes);
    expect(usage).toEqual({ ...usageOf(prompt, completion), estimated: true });
    expect(Usage.parse(usage)).toEqual(usage);
  });
});

import { expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { planBatch } from "../../src/submit/plan-batch.ts";

const CONFIG = parseConfig({ SIGNING_KEY: "x".repeat(43), AUTH_MODE: "none", OPENAI_API_KEY: "k" });
const ABOUT = {
  tenant: "acme",
  tier: "pro" as const,
  submittedTo: "https://api.example.com",
  now: 0,
};

/** Items of which each alone is taken: lists in lists that come to one letter. */
function batchOf(items: number) {
  const prompt = "x{{#input}}{{#input}}{{/input}}{{/input}}";
  const input = Array.from({ length: 440 }, () => 0);
  const item = { input, steps: [{ type: "llm" as const, name: "ask", prompt }] };
  return planBatch({ requests: Array.from({ length: items }, () => item) }, ABOUT, CONFIG);
}

it("a batch is refused whose items together take too long to be looked at", async () => {
  expect(await batchOf(20)).toMatchObject({ ok: true });
  const detail = "The templates of the items take too long to render together";
  expect(await batchOf(25)).toEqual({
    ok: false,
    code: "invalid-request",
    refusals: [{ pointer: "/requests", detail }],
  });
});

/** Items that share 100 kB of parameters. */
function sharing(items: number) {
  const parameters = { description: "x".repeat(100_000) };
  const tools = [{ type: "function" as const, function: { name: "look", parameters } }];
  const prompts = Array.from({ length: items }, () => "Why?");
  return planBatch({ prompts, params: { tools } }, ABOUT, CONFIG);
}

it("a batch is refused whose items would each keep a large copy of what they share", async () => {
  expect(await sharing(600)).toMatchObject({ ok: true });
  expect(await sharing(700)).toMatchObject({ ok: false, refusals: [{ pointer: "/params" }] });
});

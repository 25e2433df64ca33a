import { describe, expect, it } from "vitest";

import { parseConfig, type Config } from "../../src/settings/config.ts";
import type { Price } from "../../src/domain/cost.ts";
import { resolveModel } from "../../src/provider/resolve.ts";
import { isProvider, PROVIDERS, SIMULATED_MODELS } from "../../src/provider/table.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

/** All providers on. */
const ON = parseConfig({
  SIGNING_KEY,
  ...Object.fromEntries(
    Object.values(PROVIDERS).flatMap(({ prefix }) => [
      [`${prefix}_API_KEY`, "key"],
      [`${prefix}_BASE_URL`, "https://provider.example/v1"],
    ]),
  ),
});
const OFF = parseConfig({ SIGNING_KEY });
const FREE = { input: 0, output: 0 };
const DEVELOPMENT = parseConfig({ AUTH_MODE: "none" });

describe("a model's name", () => {
  it.each([
    ["alone is its first owner's", "gpt-4o", "openai", "gpt-4o"],
    ["may name its provider", "openai/gpt-4o", "openai", "gpt-4o"],
    [
      "may hold slashes of its own",
      "@cf/openai/gpt-oss-20b",
      "workers-ai",
      "@cf/openai/gpt-oss-20b",
    ],
    [
      "may hold slashes behind its provider's",
      "groq/openai/gpt-oss-20b",
      "groq",
      "openai/gpt-oss-20b",
    ],
    [
      "may be any where the provider takes any",
      "openrouter/x-ai/grok-4",
      "openrouter",
      "x-ai/grok-4",
    ],
    ["may be any that runs at home", "ollama/llama3.2", "ollama", "llama3.2"],
  ])("%s: %s", (_, name, provider, model) => {
    expect(resolveModel(name, ON)).toMatchObject({ ok: true, route: { name, provider, model } });
  });

  it.each([
    ["that nobody has", "gpt-0"],
    ["that its provider has not", "openai/claude-haiku-4-5"],
    ["of an unknown provider", "opnai/gpt-4o"],
    ["that ends with its provider", "openrouter/"],
    ["that is a provider", "openai"],
    ["the simulator has not", "simulator/gpt-4o"],
    ["that is a word of the language", "constructor"],
    ["that is a word of the language, at a provider", "openai/__proto__"],
    ["that is empty", ""],
    ["that is the table's word for any other name", "*"],
    ["that is the table's word for any other name, at a provider", "openrouter/*"],
  ])("%s (%j) is on no list", (_, name) => {
    const resolved = resolveModel(name, ON);
    expect(resolved.ok || resolved.reason).toMatch(/is not on the list of models$/);
  });

  it.each(SIMULATED_MODELS)("simulator/%s is answered in development only", (model) => {
    const name = `simulator/${model}`;
    const route = { name, provider: "simulator", model, price: FREE };
    expect(resolveModel(name, DEVELOPMENT)).toEqual({ ok: true, route });
    const refused = { ok: false, reason: `model "${name}" answers only with AUTH_MODE=none` };
    for (const config of [OFF, ON]) expect(resolveModel(name, config)).toEqual(refused);
  });
});

describe("a model whose provider is off", () => {
  it("is answered by the simulator, which says so, in development", () => {
    const name = "anthropic/claude-haiku-4-5";
    const route = { name, provider: "simulator", model: "claude-haiku-4-5", price: FREE };
    expect(resolveModel(name, DEVELOPMENT)).toEqual({ ok: true, route });
  });

  it("is its provider's in development too once that is on", () => {
    const config = parseConfig({ AUTH_MODE: "none", OPENAI_API_KEY: "key" });
    const route = { name: "gpt-4o", provider: "openai", model: "gpt-4o" };
    expect(resolveModel("gpt-4o", config)).toMatchObject({ ok: true, route });
  });

  it("is refused by its list, not by its setting, where it is on none", () => {
    expect(resolveModel("gpt-0", DEVELOPMENT).ok).toBe(false);
  });

  it.each([
    ["gpt-4o", ["OPENAI_API_KEY"]],
    ["anthropic/claude-haiku-4-5", ["ANTHROPIC_API_KEY"]],
    ["bedrock/openai.gpt-oss-20b-1:0", ["BEDROCK_BASE_URL", "BEDROCK_API_KEY"]],
    ["@cf/openai/gpt-oss-20b", ["WORKERS_AI_BASE_URL", "WORKERS_AI_API_KEY"]],
    ["openrouter/x-ai/grok-4", ["OPENROUTER_API_KEY"]],
    ["ollama/llama3.2", ["OLLAMA_BASE_URL"]],
  ])("%s is refused with all the settings it needs: %s", (name, settings) => {
    const resolved = resolveModel(name, OFF);
    const named = resolved.ok ? [] : resolved.reason.match(/[A-Z_]+_(?:API_KEY|BASE_URL)/g);
    expect(named).toEqual(settings);
  });
});

describe("the configured list of models", () => {
  const MODELS = JSON.stringify({
    "openai/gpt-6": { input: 1, output: 2 },
    "ollama/*": { input: 0, output: 0 },
  });
  const config = parseConfig({
    SIGNING_KEY,
    MODELS,
    OPENAI_API_KEY: "key",
    OLLAMA_BASE_URL: "http://host/v1",
  });

  it("takes the place of the table's", () => {
    expect(resolveModel("gpt-6", config)).toMatchObject({ ok: true });
    expect(resolveModel("gpt-4o", config)).toMatchObject({ ok: false });
    expect(resolveModel("ollama/llama3.2", config)).toMatchObject({ ok: true });
    expect(resolveModel("openrouter/x-ai/grok-4", config)).toMatchObject({ ok: false });
  });

  it("has its own prices", () => {
    expect(priceOf("gpt-6", config)).toEqual({ input: 1, output: 2 });
  });
});

describe("a route keeps the price of the day it was planned", () => {
  it.each([
    ["the table's", "gpt-4o", { input: 2.5, output: 10 }],
    ["nothing where the model runs at home", "ollama/llama3.2", FREE],
    [
      "unknown where the provider's prices are",
      "openrouter/x-ai/grok-4",
      { input: null, output: null },
    ],
  ])("%s", (_, name, price) => {
    expect(priceOf(name, ON)).toEqual(price);
  });
});

function priceOf(name: string, config: Config): Price | null {
  const resolved = resolveModel(name, config);
  if (!resolved.ok) throw new Error(resolved.reason);
  return resolved.route.price;
}

it("only what the table lists is a provider", () => {
  expect(Object.keys(PROVIDERS).every(isProvider)).toBe(true);
  expect(["simulator", "toString", ""].some(isProvider)).toBe(false);
});

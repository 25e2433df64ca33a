import { describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { checkSettings } from "../../src/settings/setup.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "canary-key-0123456789-0123456789-0123";
const OPENAI_API_KEY = "canary-openai";

describe("the settings", () => {
  it.each<[string, Record<string, string>]>([
    ["of a laptop, which needs none", { AUTH_MODE: "none" }],
    ["of a deployment that has its keys", { ADMIN_API_KEY, OPENAI_API_KEY }],
    [
      "with another default model whose provider is on",
      { ADMIN_API_KEY, DEFAULT_MODEL: "ollama/any", OLLAMA_BASE_URL: "http://127.0.0.1:11434/v1" },
    ],
  ])("%s are well", (_, env) => {
    expect(checkSettings(parseConfig({ SIGNING_KEY, ...env }))).toEqual({
      auth: "ok",
      intake: "ok",
      default_model: "ok",
      webhook_rules: "ok",
    });
  });

  it.each<[string, Record<string, string>, string, string]>([
    [
      "an admin key",
      { OPENAI_API_KEY },
      "auth",
      "ADMIN_API_KEY is not set: nobody can make tenants or keys",
    ],
    [
      "the key of the default model's provider",
      { ADMIN_API_KEY },
      "default_model",
      'DEFAULT_MODEL: model "gpt-4o" needs OPENAI_API_KEY to be set',
    ],
    [
      "a default model that exists",
      { ADMIN_API_KEY, OPENAI_API_KEY, DEFAULT_MODEL: "gpt-0" },
      "default_model",
      'DEFAULT_MODEL: model "gpt-0" is not on the list of models',
    ],
    [
      "the default model in their own list",
      { ADMIN_API_KEY, OPENAI_API_KEY, MODELS: '{"openai/o3":{"input":2,"output":8}}' },
      "default_model",
      'DEFAULT_MODEL: model "gpt-4o" is not on the list of models',
    ],
    [
      "an end to development's exceptions",
      { ADMIN_API_KEY, OPENAI_API_KEY, WEBHOOK_ALLOWED_ORIGINS: "https://canary.example.com" },
      "webhook_rules",
      "WEBHOOK_ALLOWED_ORIGINS is for development: any tenant may send there",
    ],
  ])("without %s say which is to be mended, and no secret", (_, env, check, reason) => {
    const checks = checkSettings(parseConfig({ SIGNING_KEY, ...env }));
    expect(checks[check]).toBe(reason);
    expect(JSON.stringify(checks)).not.toContain("canary");
  });
});

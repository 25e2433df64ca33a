import { describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { isLimited, limitSettingOf } from "../../src/settings/limit-setting.ts";

const SIGNING_KEY = "a signing key of the tests, which nobody else has";
const UNSAID = { requests: null, tokens: null };
const KEYS = { SIGNING_KEY, OPENAI_API_KEY: "key", OLLAMA_BASE_URL: "http://127.0.0.1:11434/v1" };

describe("what may be asked of a provider in a minute", () => {
  it("is 50 requests where no setting says anything", () => {
    const fallback = { requests: 50, tokens: null };
    expect(limitSettingOf("openai", parseConfig(KEYS))).toEqual({ setting: UNSAID, fallback });
  });

  it("is what the settings say of it, and of no other", () => {
    const said = { OPENAI_REQUESTS_PER_MINUTE: "500", OPENAI_TOKENS_PER_MINUTE: "0" };
    const config = parseConfig({ ...KEYS, ...said, ANTHROPIC_API_KEY: "key" });
    expect(limitSettingOf("openai", config).setting).toEqual({ requests: 500, tokens: 0 });
    expect(limitSettingOf("anthropic", config).setting).toEqual(UNSAID);
  });

  it.each(["ollama", "simulator"])("is whatever one likes of %s, which has no account", (name) => {
    const { setting, fallback } = limitSettingOf(name, parseConfig(KEYS));
    expect([setting, fallback]).toEqual([UNSAID, UNSAID]);
  });

  it.each(["many", "-1", "1.5", ""])("cannot be %j", (limit) => {
    const settings = { ...KEYS, OPENAI_REQUESTS_PER_MINUTE: limit };
    expect(() => parseConfig(settings)).toThrow("OPENAI_REQUESTS_PER_MINUTE");
  });

  it("is known of providers only", () => {
    const names = ["openai", "simulator", "workers-ai", "closedai", "__proto__"];
    expect(names.filter(isLimited)).toEqual(["openai", "simulator", "workers-ai"]);
  });
});

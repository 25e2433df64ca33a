import { describe, expect, it } from "vitest";

import {
  ConfigError,
  configOf,
  DEVELOPMENT_SIGNING_KEY,
  parseConfig,
} from "../../src/settings/config.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const CANARY = "canary-7f3a";

/** The message that refuses these settings. */
function refusalOf(env: object): string {
  try {
    parseConfig({ SIGNING_KEY, ...env });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the settings were taken");
}

describe("without any setting but the root key", () => {
  it("every number has the default the contract gives it", () => {
    expect(parseConfig({ SIGNING_KEY })).toMatchObject({
      AUTH_MODE: "keys",
      ATTEMPTS: "awaited",
      DEFAULT_MODEL: "gpt-4o",
      DEFAULT_MAX_TOKENS: 4_096,
      DEFAULT_MAX_ATTEMPTS: 3,
      DEFAULT_TIMEOUT_MS: 90_000,
      LONG_RUNNING_MAX_ATTEMPTS: 2,
      LONG_RUNNING_TIMEOUT_MS: 600_000,
      DEFAULT_TTL_SECONDS: 86_400,
      RETENTION_SECONDS: 86_400,
      FAILED_RETENTION_SECONDS: 604_800,
      IDEMPOTENCY_SECONDS: 86_400,
      LEASE_SECONDS: 60,
      RETRY_BASE_MS: 5_000,
      INTERACTIVE_RETRY_BASE_MS: 2_000,
      RETRY_MAX_MS: 300_000,
      RELAY_JOIN_MS: 50,
      MAX_BODY_BYTES: 1_048_576,
      MAX_JSON_DEPTH: 64,
      SSE_HEARTBEAT_SECONDS: 15,
      SSE_RETRY_MS: 2_000,
      WEBHOOK_ALLOWED_ORIGINS: [],
      WEBHOOK_ORIGIN_CONCURRENCY: 10,
      WEBHOOK_TIMEOUT_MS: 10_000,
      WEBHOOK_MAX_PAYLOAD_BYTES: 20_480,
    });
  });

  it("no provider is on", () => {
    expect(parseConfig({ SIGNING_KEY }).providers).toEqual({});
  });
});

describe("a setting", () => {
  it("that is a number may be written as text, as it is in wrangler.toml", () => {
    const env = { LEASE_SECONDS: "30", RETRY_BASE_MS: 100, RELAY_JOIN_MS: "0" };
    const settings = { LEASE_SECONDS: 30, RETRY_BASE_MS: 100, RELAY_JOIN_MS: 0 };
    expect(parseConfig({ SIGNING_KEY, ...env })).toMatchObject(settings);
  });

  it("that is the list of models is JSON, prices included", () => {
    const MODELS = '{"openai/gpt-4o": {"input": 2.5, "output": null}}';
    const price = { input: 2.5, output: null };
    expect(parseConfig({ SIGNING_KEY, MODELS }).MODELS).toEqual({ "openai/gpt-4o": price });
  });

  it("nobody knows is let be: bindings are among them", () => {
    expect(() => parseConfig({ SIGNING_KEY, JOBS: {}, LANE_HIGH: {} })).not.toThrow();
  });

  it("is parsed once for each environment", () => {
    const env = { SIGNING_KEY, LEASE_SECONDS: "30" };
    expect(configOf(env)).toBe(configOf(env));
    expect(configOf({ ...env })).not.toBe(configOf(env));
  });
});

describe("a wrong setting", () => {
  it.each([
    ["AUTH_MODE", "open"],
    ["AUTH_MODE", ""],
    ["ATTEMPTS", "never"],
    ["ADMIN_API_KEY", "too-short"],
    ["SIGNING_KEY", "x".repeat(31)],
    ["SIGNING_KEY", ""],
    ["SIGNING_KEY", undefined],
    ["SIGNING_KEY", DEVELOPMENT_SIGNING_KEY],
    ["PREVIOUS_SIGNING_KEY", "too-short"],
    ["WEBHOOK_ORIGIN_CONCURRENCY", "0"],
    ["WEBHOOK_TIMEOUT_MS", "0"],
    ["WEBHOOK_MAX_PAYLOAD_BYTES", "20 KB"],
    ["KEY_ENVIRONMENT", "production"],
    ["KEY_MAX_AGE_SECONDS", "61"],
    ["KEY_MAX_AGE_SECONDS", "0"],
    ["SUBMITS_PER_MINUTE", "-1"],
    ["SUBMITS_PER_MINUTE", "1.5"],
    ["SUBMITS_PER_MINUTE", "many"],
    ["SUBMITS_PER_MINUTE", ""],
    ["MAX_QUEUED_JOBS", "null"],
    ["MAX_QUEUED_JOBS", '{"gold":1}'],
    ["DAY_BUDGET_USD", "[1]"],
    ["MONTH_BUDGET_USD", '{"free":"5"}'],
    ["LEASE_SECONDS", "a minute"],
    ["LEASE_SECONDS", "2"],
    ["LEASE_SECONDS", "30.5"],
    ["LEASE_SECONDS", ""],
    ["RETRY_BASE_MS", "-1"],
    ["RETRY_MAX_MS", "Infinity"],
    ["DEFAULT_MAX_ATTEMPTS", "0"],
    ["DEFAULT_MODEL", ""],
    ["PULSE_MS", "1"],
    ["RELAY_JOIN_MS", "-1"],
    ["RELAY_JOIN_MS", ""],
    ["SSE_RETRY_MS", " "],
    ["MAX_BODY_BYTES", "1900001"],
    ["MODELS", "gpt-4o"],
    ["MODELS", '["openai/gpt-4o"]'],
    ["MODELS", '{"gpt-4o": {"input": 1, "output": 1}}'],
    ["MODELS", '{"openai/gpt-4o": {"input": -1, "output": 1}}'],
    ["MODELS", '{"openai/gpt-4o": {"input": 1}}'],
    ["MODELS", '{"openai/gpt-4o": {"input": 1, "output": 1, "cached": 1}}'],
  ])("%s=%j is refused by its name", (name, value) => {
    expect(refusalOf({ [name]: value })).toContain(name);
  });

  it("does not hide another", () => {
    const refusal = refusalOf({ LEASE_SECONDS: "long", AUTH_MODE: "open" });
    expect(refusal).toContain("LEASE_SECONDS");
    expect(refusal).toContain("AUTH_MODE");
  });
});

describe("the root key", () => {
  it("that a deployment has is used in every mode", () => {
    for (const AUTH_MODE of ["keys", "none"]) {
      expect(parseConfig({ AUTH_MODE, SIGNING_KEY }).SIGNING_KEY).toBe(SIGNING_KEY);
    }
  });

  it("of a laptop is one that all know", () => {
    expect(parseConfig({ AUTH_MODE: "none" }).SIGNING_KEY).toBe(DEVELOPMENT_SIGNING_KEY);
  });
});

describe("the origins that webhooks may go to in development", () => {
  it.each<[string, string[]]>([
    ["", []],
    [" ", []],
    ["http://127.0.0.1:3000", ["http://127.0.0.1:3000"]],
    [
      "http://localhost:3000, https://hooks.example.com",
      ["http://localhost:3000", "https://hooks.example.com"],
    ],
    ["HTTPS://Hooks.Example.COM:443,", ["https://hooks.example.com"]],
    ["http://127.1:80", ["http://127.0.0.1"]],
    ["http://[::1]:3000", ["http://[::1]:3000"]],
    ["http://a.example,http://A.example:80", ["http://a.example"]],
  ])("are read as a browser would spell them: %j", (WEBHOOK_ALLOWED_ORIGINS, origins) => {
    const config = parseConfig({ SIGNING_KEY, WEBHOOK_ALLOWED_ORIGINS });
    expect(config.WEBHOOK_ALLOWED_ORIGINS).toEqual(origins);
  });

  it.each([
    "http://127.0.0.1:3000/",
    "http://127.0.0.1:3000/hook",
    "http://127.0.0.1:3000?a=b",
    "http://127.0.0.1:3000#a",
    "http://user:canary@127.0.0.1:3000",
    "http://@127.0.0.1",
    "http://127.0.0.1:99999",
    "http://[::1",
    "http://",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1",
    "ftp://127.0.0.1",
    "127.0.0.1:3000",
    "https://*.example.com",
    "*",
    "null",
    "http://a.example;http://b.example/",
    "http://a.example http://b.example",
    "http://a.example,canary",
  ])("are exact ones or refused: %j", (WEBHOOK_ALLOWED_ORIGINS) => {
    const refusal = refusalOf({ WEBHOOK_ALLOWED_ORIGINS });
    expect(refusal).toContain("WEBHOOK_ALLOWED_ORIGINS");
    expect(refusal).not.toContain("canary");
  });
});

const UNSAID = { requests: null, tokens: null };

describe("a provider", () => {
  it("with an address of its own is on once it has a key", () => {
    expect(parseConfig({ SIGNING_KEY, OPENAI_API_KEY: CANARY }).providers).toEqual({
      openai: { baseUrl: "https://api.openai.com/v1", apiKey: CANARY, limits: UNSAID },
    });
  });

  it("may be given another address", () => {
    const env = { OPENAI_API_KEY: CANARY, OPENAI_BASE_URL: "http://127.0.0.1:9/v1" };
    expect(parseConfig({ SIGNING_KEY, ...env }).providers.openai?.baseUrl).toBe(
      "http://127.0.0.1:9/v1",
    );
  });

  it("without an address of its own is off until it has both", () => {
    const url = "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1";
    expect(parseConfig({ SIGNING_KEY, BEDROCK_API_KEY: CANARY }).providers).toEqual({});
    expect(parseConfig({ SIGNING_KEY, BEDROCK_BASE_URL: url }).providers).toEqual({});
    const { providers } = parseConfig({
      SIGNING_KEY,
      BEDROCK_API_KEY: CANARY,
      BEDROCK_BASE_URL: url,
    });
    expect(providers).toEqual({ bedrock: { baseUrl: url, apiKey: CANARY, limits: UNSAID } });
  });

  it("that needs no key is on once it has an address", () => {
    const { providers } = parseConfig({
      SIGNING_KEY,
      OLLAMA_BASE_URL: "http://127.0.0.1:11434/v1",
    });
    expect(providers.ollama).toEqual({
      baseUrl: "http://127.0.0.1:11434/v1",
      apiKey: "none",
      limits: UNSAID,
    });
  });

  it("whose key is empty is off", () => {
    expect(parseConfig({ SIGNING_KEY, OPENAI_API_KEY: "" }).providers).toEqual({});
  });

  it("whose address is none is refused by the setting's name", () => {
    const env = { OPENAI_API_KEY: "key", OPENAI_BASE_URL: "api.openai.com" };
    expect(refusalOf(env)).toContain("OPENAI_BASE_URL");
  });
});

describe("invariant 9: a refusal never holds the value of a secret", () => {
  it.each([
    ["an admin key that is too short", { ADMIN_API_KEY: CANARY }],
    ["a root key that is too short", { SIGNING_KEY: CANARY }],
    ["a root key before that is too short", { PREVIOUS_SIGNING_KEY: CANARY }],
    ["a root key beside a setting that is wrong", { SIGNING_KEY: CANARY.repeat(4), PULSE_MS: "x" }],
    ["an admin key that is no text", { ADMIN_API_KEY: { CANARY } }],
    ["a provider's key beside a setting that is wrong", { OPENAI_API_KEY: CANARY, PULSE_MS: "x" }],
    [
      "a provider's address that is none, credentials and all",
      { OPENAI_API_KEY: CANARY, OPENAI_BASE_URL: `//user:${CANARY}@host` },
    ],
    ["a list of models that is not JSON", { MODELS: CANARY }],
    ["a mode that is a secret by mistake", { AUTH_MODE: CANARY }],
    ["a number that is a secret by mistake", { LEASE_SECONDS: CANARY }],
  ])("%s", (_, env) => {
    expect(refusalOf(env)).not.toContain(CANARY);
  });
});

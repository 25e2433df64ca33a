import type { Price } from "../domain/cost.ts";

export type Provider = {
  /** Its settings are `<prefix>_API_KEY` and `<prefix>_BASE_URL`. */
  prefix: string;
  /** Of its chat-completions face; null where it differs by account. */
  baseUrl: string | null;
  needsKey: boolean;
  /** What it calls the token limit. OpenAI's newer models refuse the older name. */
  maxTokensField: "max_tokens" | "max_completion_tokens";
  /** Parameters it takes and does nothing with. A job that needs one is refused. */
  ignores: readonly ("seed" | "response_format")[];
  /** Prices per model, from the provider's price list (November 2026). `*` admits any other name. */
  models: Readonly<Record<string, Price>>;
};

const UNKNOWN: Price = { input: null, output: null };

/** All speak the chat-completions protocol, so one client serves them; what differs is data. */
export const PROVIDERS = {
  openai: {
    prefix: "OPENAI",
    baseUrl: "https://api.openai.com/v1",
    needsKey: true,
    maxTokensField: "max_completion_tokens",
    ignores: [],
    models: {
      "gpt-4o": { input: 2.5, output: 10 },
      "gpt-4o-mini": { input: 0.15, output: 0.6 },
      "gpt-4.1": { input: 2, output: 8 },
      "gpt-4.1-mini": { input: 0.4, output: 1.6 },
      "gpt-4.1-nano": { input: 0.1, output: 0.4 },
      "gpt-5": { input: 1.25, output: 10 },
      "gpt-5-mini": { input: 0.25, output: 2 },
      "gpt-5-nano": { input: 0.05, output: 0.4 },
      o3: { input: 2, output: 8 },
      "o4-mini": { input: 1.1, output: 4.4 },
    },
  },
  anthropic: {
    prefix: "ANTHROPIC",
    baseUrl: "https://api.anthropic.com/v1",
    needsKey: true,
    maxTokensField: "max_tokens",
    ignores: ["seed", "response_format"],
    models: {
      "claude-opus-4-5": { input: 5, output: 25 },
      "claude-sonnet-4-5": { input: 3, output: 15 },
      "claude-haiku-4-5": { input: 1, output: 5 },
    },
  },
  bedrock: {
    prefix: "BEDROCK",
    // https://bedrock-runtime.<region>.amazonaws.com/openai/v1
    baseUrl: null,
    needsKey: true,
    maxTokensField: "max_completion_tokens",
    ignores: [],
    models: {
      "openai.gpt-oss-120b-1:0": { input: 0.15, output: 0.6 },
      "openai.gpt-oss-20b-1:0": { input: 0.07, output: 0.3 },
    },
  },
  "workers-ai": {
    prefix: "WORKERS_AI",
    // https://api.cloudflare.com/client/v4/accounts/<account>/ai/v1
    baseUrl: null,
    needsKey: true,
    maxTokensField: "max_tokens",
    ignores: [],
    models: {
      "@cf/openai/gpt-oss-120b": { input: 0.35, output: 0.75 },
      "@cf/openai/gpt-oss-20b": { input: 0.2, output: 0.3 },
      "@cf/meta/llama-3.3-70b-instruct-fp8-fast": { input: 0.293, output: 2.253 },
      "@cf/meta/llama-3.1-8b-instruct": { input: 0.282, output: 0.827 },
    },
  },
  groq: {
    prefix: "GROQ",
    baseUrl: "https://api.groq.com/openai/v1",
    needsKey: true,
    maxTokensField: "max_completion_tokens",
    ignores: [],
    models: {
      "llama-3.3-70b-versatile": { input: 0.59, output: 0.79 },
      "llama-3.1-8b-instant": { input: 0.05, output: 0.08 },
      "openai/gpt-oss-120b": { input: 0.15, output: 0.75 },
      "openai/gpt-oss-20b": { input: 0.1, output: 0.5 },
    },
  },
  openrouter: {
    prefix: "OPENROUTER",
    baseUrl: "https://openrouter.ai/api/v1",
    needsKey: true,
    maxTokensField: "max_tokens",
    ignores: [],
    models: { "*": UNKNOWN },
  },
  ollama: {
    prefix: "OLLAMA",
    // http://127.0.0.1:11434/v1; without the setting it is off.
    baseUrl: null,
    needsKey: false,
    maxTokensField: "max_tokens",
    ignores: [],
    models: { "*": { input: 0, output: 0 } },
  },
} as const satisfies Record<string, Provider>;

export type ProviderName = keyof typeof PROVIDERS;

/** Answers in process and calls no model: the embedded default, and models that misbehave on purpose. */
export const SIMULATOR = "simulator";

/** What `simulator/<name>` does; see simulator.ts. */
export const SIMULATED_MODELS = [
  "standard",
  "flaky",
  "rate-limited",
  "hangs",
  "cuts",
  "slow",
  "long",
] as const;
export type SimulatedModel = (typeof SIMULATED_MODELS)[number];

export function isProvider(name: string): name is ProviderName {
  return Object.hasOwn(PROVIDERS, name);
}

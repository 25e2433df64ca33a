import { z } from "zod";

import { isProvider, PROVIDERS, type ProviderName } from "./provider/table.ts";

/** More than any number here can sensibly be: 31 years in seconds, 11 days in milliseconds, a gigabyte. */
const MAX_NUMBER = 1_000_000_000;

/** Longest time of any one wait: timers and consumers end at 15 minutes (platform limit). */
const MAX_MS = 840_000;

const number = (fallback: number, least = 0, most = MAX_NUMBER) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], "is not a whole number")
    .pipe(z.number().int().min(least).max(most))
    .default(fallback);

const Price = z.strictObject({
  input: z.number().min(0).nullable(),
  output: z.number().min(0).nullable(),
});

/** `MODELS`: `{"openai/gpt-4o": {"input": 2.5, "output": 10}}`, dollars per million tokens, null where unknown. */
const Models = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: "is not JSON" });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string().refine(namesProvider, "must be <provider>/<model>"), Price));

function namesProvider(name: string): boolean {
  const [provider = "", ...model] = name.split("/");
  return isProvider(provider) && model.join("/") !== "";
}

/** Every setting, its meaning and its default. Numbers that api.md names have api.md's defaults. */
const Settings = z.object({
  /** `none` makes everybody the tenant `dev` with admin scope: for development only. */
  AUTH_MODE: z.enum(["keys", "none"]).default("keys"),
  /** The first admin key. */
  ADMIN_API_KEY: z.string().min(32).optional(),
  /**
   * `detached`: a queue batch settles at once and its attempt goes on under waitUntil. The local queue
   * runs one batch at a time, so awaited attempts would run one after another; production runs up to 250
   * side by side, and how long it lets work live after the handler returned is not documented.
   */
  ATTEMPTS: z.enum(["awaited", "detached"]).default("awaited"),

  MODELS: Models.optional(),
  DEFAULT_MODEL: z.string().min(1).default("gpt-4o"),
  DEFAULT_MAX_TOKENS: number(4096, 1),
  DEFAULT_MAX_ATTEMPTS: number(3, 1, 10),
  DEFAULT_TIMEOUT_MS: number(90_000, 1, MAX_MS),
  LONG_RUNNING_MAX_ATTEMPTS: number(2, 1, 10),
  LONG_RUNNING_TIMEOUT_MS: number(600_000, 1, MAX_MS),
  DEFAULT_TTL_SECONDS: number(86_400, 1),
  RETENTION_SECONDS: number(86_400, 1),
  FAILED_RETENTION_SECONDS: number(604_800, 1),
  IDEMPOTENCY_SECONDS: number(86_400, 1),

  LEASE_SECONDS: number(60, 3),
  RETRY_BASE_MS: number(5_000, 1),
  INTERACTIVE_RETRY_BASE_MS: number(2_000, 1),
  RETRY_MAX_MS: number(300_000, 1, 86_400_000), // the longest delay of a queue
  /** Limits of one call: to the answer's headers, between two tokens. */
  HEADERS_TIMEOUT_MS: number(60_000, 1, MAX_MS),
  IDLE_TIMEOUT_MS: number(60_000, 1, MAX_MS),
  /** An answer is cut off here, as if the model had reached its token limit. */
  MAX_OUTPUT_BYTES: number(8_388_608, 1),

  /** How long text is joined before it is stored and shown: while somebody watches, and while nobody does. */
  RELAY_JOIN_MS: number(50),
  UNWATCHED_JOIN_MS: number(5_000),
  /** How often a silent or unwatched attempt asks whether it was cancelled or is being watched. */
  PULSE_MS: number(1_000, 10),

  MAX_BODY_BYTES: number(1_048_576, 1),
  MAX_JSON_DEPTH: number(64, 1),
  SSE_HEARTBEAT_SECONDS: number(15, 1),
  SSE_RETRY_MS: number(2_000),
  /** An event stream's reader that is this far behind is cut; it resumes by its cursor. */
  SSE_MAX_BACKLOG_BYTES: number(1_048_576, 1),
});

/** A provider that is switched on: where it is and what opens it. */
export type ProviderAccess = { baseUrl: string; apiKey: string };

export type Config = z.infer<typeof Settings> & {
  providers: Partial<Record<ProviderName, ProviderAccess>>;
};

/** A setting that is missing or wrong. The message names it and says why; it never holds its value. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

const parsed = new WeakMap<object, Config>();

/** The settings of an environment, parsed once. Throws ConfigError. */
export function configOf(env: object): Config {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const config = parseConfig(env);
  parsed.set(env, config);
  return config;
}

export function parseConfig(env: object): Config {
  const settings = Settings.safeParse(env);
  if (!settings.success) {
    const wrong = settings.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new ConfigError(`Wrong settings: ${wrong.join("; ")}`);
  }
  const { PULSE_MS, LEASE_SECONDS } = settings.data;
  if (PULSE_MS > (LEASE_SECONDS * 1_000) / 3) {
    throw new ConfigError("Wrong settings: PULSE_MS must be at most a third of LEASE_SECONDS");
  }
  return { ...settings.data, providers: providersOf(new Map(Object.entries(env))) };
}

/** The providers whose row in the table has all it needs: `<PROVIDER>_API_KEY`, `<PROVIDER>_BASE_URL`. */
function providersOf(env: Map<string, unknown>): Config["providers"] {
  const on: Config["providers"] = {};
  for (const [name, provider] of Object.entries(PROVIDERS)) {
    const baseUrl = env.get(`${provider.prefix}_BASE_URL`) || provider.baseUrl;
    const apiKey = env.get(`${provider.prefix}_API_KEY`) || (provider.needsKey ? null : "none");
    if (typeof baseUrl !== "string" || typeof apiKey !== "string") continue;
    if (!URL.canParse(baseUrl)) throw new ConfigError(`${provider.prefix}_BASE_URL is not a URL`);
    on[name as ProviderName] = { baseUrl, apiKey };
  }
  return on;
}

import { z } from "zod";

import type { KeyEnvironment } from "../domain/api-key.ts";
import type { LimitSetting } from "../domain/provider-limits.ts";
import type { LimitSettings } from "../domain/tenant.ts";
import { PROVIDERS, type ProviderName } from "../provider/table.ts";
import {
  count,
  dollars,
  Hosts,
  Models,
  number,
  Origins,
  perTier,
  PerMinute,
  WebhookSecret,
} from "./setting.ts";

/** Most bytes of UTF-8 of a request as it is kept: in one row, beside its job, and a row holds 2 MB (platform limit). */
export const MAX_STORED_REQUEST_BYTES = 1_900_000;

/** Most bytes of what is sent to a webhook: it is kept in one row with the end of the job, and a row holds 2 MB (platform limit). */
const MAX_KEPT_BODY_BYTES = 262_144;

/** Longest time of any one wait: timers and consumers end at 15 minutes (platform limit). */
const MAX_MS = 840_000;

/**
 * Stands in for SIGNING_KEY with AUTH_MODE=none, so that a laptop needs no secret. Everybody knows it: nothing sealed
 * under it is one.
 */
export const DEVELOPMENT_SIGNING_KEY = "afterword-development-signing-key-known-to-all";

/** Every setting, its meaning and its default. docs/configuration.md lists them for operators. */
const Settings = z.object({
  /** `none` makes everybody the tenant `dev` with admin scope: for development only. */
  AUTH_MODE: z.enum(["keys", "none"]).default("keys"),
  /** The first admin key. */
  ADMIN_API_KEY: z.string().min(32).optional(),
  /** Of the keys that are made here and the only ones that are taken. Default `live`; `test` with AUTH_MODE=none. */
  KEY_ENVIRONMENT: z.enum(["live", "test"]).optional(),
  /** How old what is known of a key may be, and so how soon its revocation is heard of. */
  KEY_MAX_AGE_SECONDS: number(60, 1, 60),
  /** What tenants may do and spend, where they have no limits of their own. */
  SUBMITS_PER_MINUTE: perTier(count),
  MAX_QUEUED_JOBS: perTier(count),
  DAY_BUDGET_USD: perTier(dollars),
  MONTH_BUDGET_USD: perTier(dollars),
  /** The root of all keys of our own (keyring.ts). Whoever has it can open what is sealed at rest. */
  SIGNING_KEY: z.string().min(32).optional(),
  /** The root before: opens what was sealed under it, and seals nothing. */
  PREVIOUS_SIGNING_KEY: z.string().min(32).optional(),
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
  /** What a job that was started in time has to end, retries included. */
  JOB_LIFE_SECONDS: number(86_400, 1),
  RETENTION_SECONDS: number(86_400, 1),
  FAILED_RETENTION_SECONDS: number(604_800, 1),
  IDEMPOTENCY_SECONDS: number(86_400, 1),

  LEASE_SECONDS: number(60, 3),
  /** A job whose consumers died or went silent more often is given up: it may be what kills them. */
  MAX_STALLS: number(2),
  RETRY_BASE_MS: number(5_000, 1),
  INTERACTIVE_RETRY_BASE_MS: number(2_000, 1),
  RETRY_MAX_MS: number(300_000, 1, 86_400_000), // the longest delay of a queue
  /** Limits of one call: to the answer's headers, between two tokens. */
  HEADERS_TIMEOUT_MS: number(60_000, 1, MAX_MS),
  IDLE_TIMEOUT_MS: number(60_000, 1, MAX_MS),
  /** An answer is cut off here, as if the model had reached its token limit. */
  MAX_OUTPUT_BYTES: number(8_388_608, 1),

  /**
   * Calls of a lane that one provider has at once, at most: nine tenths of the consumers of its queue (wrangler.toml), so
   * that some are free to take the messages of those whose turn it is.
   */
  LANE_CONCURRENCY_HIGH: number(225, 1),
  LANE_CONCURRENCY_NORMAL: number(225, 1),
  LANE_CONCURRENCY_LOW: number(90, 1),
  LANE_CONCURRENCY_LONG: number(45, 1),

  /** How long text is joined before it is stored and shown: while somebody watches, and while nobody does. */
  RELAY_JOIN_MS: number(50),
  UNWATCHED_JOIN_MS: number(15_000),
  /** How often a silent or unwatched attempt asks whether it was cancelled or is being watched. */
  PULSE_MS: number(1_000, 10),

  /** Above these `/health` is degraded: how long a message may be in its lane's queue. */
  HEALTH_MAX_QUEUE_AGE_SECONDS: number(300, 1),
  HEALTH_MAX_LONG_QUEUE_AGE_SECONDS: number(1_800, 1),
  HEALTH_MAX_WEBHOOK_QUEUE_AGE_SECONDS: number(3_600, 1),
  /** The same of a job that is parked at its provider. */
  HEALTH_MAX_PARKED_AGE_SECONDS: number(300, 1),

  /** How long a subscribe token lets a browser follow its job, and a connection opened with it live. */
  SUBSCRIBE_TOKEN_SECONDS: number(900, 1, 86_400),

  /** `paused`: no new jobs are taken; all else goes on. */
  INTAKE: z.enum(["open", "paused"]).default("open"),

  /** Names and values of all headers together. */
  MAX_HEADER_BYTES: number(32_768, 1),
  MAX_BODY_BYTES: number(1_048_576, 1, MAX_STORED_REQUEST_BYTES),
  MAX_JSON_DEPTH: number(64, 1),
  SSE_HEARTBEAT_SECONDS: number(15, 1),
  SSE_RETRY_MS: number(2_000),
  /** A live reader of an event stream that is this far behind is fed from the log, at its own pace. */
  SSE_MAX_BACKLOG_BYTES: number(1_048_576, 1),

  /** Whether lists of dead letters show how their prompts begin. */
  DEAD_LETTER_PREVIEW: z.enum(["on", "off"]).default("on"),
  /** Letters a bulk operation deals with in a second, where it does not say. */
  DEAD_LETTER_RATE: number(100, 1, 1_000),
  /** With more dead letters than this open `/health` is degraded, and the operator's webhook is told, once for each time it happens. */
  DLQ_ALERT_THRESHOLD: number(100),
  OPERATOR_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, message: "is not an http(s) URL" })
    .optional(),
  OPERATOR_WEBHOOK_SECRET: WebhookSecret.optional(),

  /** Hosts this service is reached at besides the one a request came to: no webhook may point there. */
  OWN_HOSTS: Hosts.default([]),
  /** Exact origins exempt from the rules for webhook URLs: for development. */
  WEBHOOK_ALLOWED_ORIGINS: Origins.default([]),
  /** Deliveries under way to one origin at once, while it answers quickly. */
  WEBHOOK_ORIGIN_CONCURRENCY: number(10, 1, 1_000),
  /** One attempt's limit, the answer's body included. */
  WEBHOOK_TIMEOUT_MS: number(10_000, 1, MAX_MS),
  /** A larger payload has a link in place of the result. */
  WEBHOOK_MAX_PAYLOAD_BYTES: number(20_480, 1, MAX_KEPT_BODY_BYTES),
});

/** A provider that is switched on: where it is, what opens it, and what may be asked of it in a minute. */
export type ProviderAccess = { baseUrl: string; apiKey: string; limits: LimitSetting };

export type Config = Omit<z.infer<typeof Settings>, "KEY_ENVIRONMENT"> & {
  SIGNING_KEY: string;
  KEY_ENVIRONMENT: KeyEnvironment;
  limits: LimitSettings;
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
  const { PULSE_MS, LEASE_SECONDS, OPERATOR_WEBHOOK_URL, OPERATOR_WEBHOOK_SECRET } = settings.data;
  if (PULSE_MS > (LEASE_SECONDS * 1_000) / 3) {
    throw new ConfigError("Wrong settings: PULSE_MS must be at most a third of LEASE_SECONDS");
  }
  if (OPERATOR_WEBHOOK_URL !== undefined && OPERATOR_WEBHOOK_SECRET === undefined) {
    throw new ConfigError("Wrong settings: OPERATOR_WEBHOOK_URL needs OPERATOR_WEBHOOK_SECRET");
  }
  refuseProduction(settings.data);
  const SIGNING_KEY = signingKeyOf(settings.data);
  return {
    ...settings.data,
    SIGNING_KEY,
    KEY_ENVIRONMENT: settings.data.KEY_ENVIRONMENT ?? (isOpen(settings.data) ? "test" : "live"),
    limits: limitsOf(settings.data),
    providers: providersOf(new Map(Object.entries(env))),
  };
}

type Given = z.infer<typeof Settings>;

/** Everybody who reaches it is let in. */
function isOpen({ AUTH_MODE }: Given): boolean {
  return AUTH_MODE === "none";
}

/** What only a deployment with keys has, so that one which has lost its AUTH_MODE to a slip is not open to all. */
function refuseProduction(given: Given): void {
  if (!isOpen(given)) return;
  const live = given.KEY_ENVIRONMENT === "live" ? ["KEY_ENVIRONMENT=live"] : [];
  const secrets = (["ADMIN_API_KEY", "PREVIOUS_SIGNING_KEY"] as const).filter(
    (name) => given[name] !== undefined,
  );
  const [production] = [...secrets, ...live];
  if (production === undefined) return;
  throw new ConfigError(
    `Wrong settings: AUTH_MODE=none is for development, and ${production} is not; take one of them out`,
  );
}

/** Where everybody is let in nobody has limits, unless they are set. */
function limitsOf(given: Given): LimitSettings {
  return {
    submitsPerMinute: given.SUBMITS_PER_MINUTE,
    maxQueued: given.MAX_QUEUED_JOBS,
    dayBudgetUsd: given.DAY_BUDGET_USD,
    monthBudgetUsd: given.MONTH_BUDGET_USD,
    presumed: !isOpen(given),
  };
}

function signingKeyOf({ AUTH_MODE, SIGNING_KEY }: Given): string {
  if (AUTH_MODE === "none") return SIGNING_KEY ?? DEVELOPMENT_SIGNING_KEY;
  if (SIGNING_KEY === undefined) {
    throw new ConfigError("Wrong settings: SIGNING_KEY is required with AUTH_MODE=keys");
  }
  if (SIGNING_KEY === DEVELOPMENT_SIGNING_KEY) {
    throw new ConfigError("Wrong settings: SIGNING_KEY is the development key, which all know");
  }
  return SIGNING_KEY;
}

/**
 * The providers whose row in the table has all it needs: `<PROVIDER>_API_KEY`, `<PROVIDER>_BASE_URL`. Besides these,
 * `<PROVIDER>_REQUESTS_PER_MINUTE` and `<PROVIDER>_TOKENS_PER_MINUTE`.
 */
function providersOf(env: Map<string, unknown>): Config["providers"] {
  const on: Config["providers"] = {};
  for (const [name, provider] of Object.entries(PROVIDERS)) {
    const baseUrl = env.get(`${provider.prefix}_BASE_URL`) || provider.baseUrl;
    const apiKey = env.get(`${provider.prefix}_API_KEY`) || (provider.needsKey ? null : "none");
    if (typeof baseUrl !== "string" || typeof apiKey !== "string") continue;
    if (!URL.canParse(baseUrl)) throw new ConfigError(`${provider.prefix}_BASE_URL is not a URL`);
    const limits = {
      requests: perMinuteOf(env, `${provider.prefix}_REQUESTS_PER_MINUTE`),
      tokens: perMinuteOf(env, `${provider.prefix}_TOKENS_PER_MINUTE`),
    };
    on[name as ProviderName] = { baseUrl, apiKey, limits };
  }
  return on;
}

/** Null: not set. */
function perMinuteOf(env: Map<string, unknown>, setting: string): number | null {
  const limit = PerMinute.safeParse(env.get(setting) ?? null);
  if (limit.success) return limit.data;
  throw new ConfigError(`Wrong settings: ${setting} is not a whole number`);
}

import type { Config } from "../settings/config.ts";
import type { BatchPlace } from "../domain/batch-place.ts";
import type { JobSpec, Route } from "../domain/job.ts";
import { affordableTokens, estimatedPromptTokens } from "../domain/cost.ts";
import { laneOf } from "../domain/lane.ts";
import { TIERS } from "../domain/tier.ts";
import type { Webhook } from "../domain/webhook.ts";
import { mostPromptTokens, worstCaseNano } from "../domain/worst-case.ts";
import { ignoredParams, resolveModel } from "../provider/resolve.ts";
import type { CreateJob, Tier } from "../schema/job.ts";

export type Submission = {
  request: CreateJob;
  tenant: string;
  tier: Tier;
  id: string;
  idempotencyKey: string | null;
  fingerprint: string;
  /** Random, so that no other job ever has it, under whatever id. */
  uid: string;
  now: number;
  /** Where its events are to go. */
  webhook?: Webhook;
  /** The job this one repeats. */
  replayOf?: string;
  /** How long its id is taken, where not as the settings say. */
  keySeconds?: number;
  /** The batch it is of. */
  batch?: BatchPlace;
  /** The operator's word on the priority, above the request's and the tier's. */
  priorityLevel?: number;
};

/** What is wrong with a request beyond its shape: where (a JSON pointer) and what. */
export type Refusal = { pointer: string; detail: string };
/** `worstNano`: the most it may cost, in billionths of a dollar; null: nobody can tell. */
export type Plan = { spec: JobSpec; worstNano: number | null };
export type Planned = ({ ok: true } & Plan) | { ok: false; refusals: Refusal[] };

/** Fills in what a request left open, from its profile, its tenant's tier and the settings. Pure. */
export function planJob(submission: Submission, config: Config): Planned {
  const { request, tier, now } = submission;
  const models = routesOf(request, config);
  const priority = priorityOf(submission);
  const promptTokens = estimatedPromptTokens(request);
  const refusals = [
    ...models.refusals,
    ...priority.refusals,
    ...capRefusals(request, models.routes, promptTokens),
  ];
  if (refusals.length > 0) return { ok: false, refusals };
  const profile = request.profile ?? "default";
  const long = profile === "long_running";
  const interactive = profile === "interactive";
  const runAt = now + (request.delay_seconds ?? 0) * 1_000;
  const startBy = runAt + (request.ttl_seconds ?? config.DEFAULT_TTL_SECONDS) * 1_000;
  const spec: JobSpec = {
    id: submission.id,
    uid: submission.uid,
    replayOf: submission.replayOf ?? null,
    tenant: submission.tenant,
    tier,
    priorityLevel: priority.level,
    lane: laneOf(priority.level, profile),
    idempotencyKey: submission.idempotencyKey,
    fingerprint: submission.fingerprint,
    routes: models.routes,
    maxAttempts:
      request.max_attempts ??
      (long ? config.LONG_RUNNING_MAX_ATTEMPTS : config.DEFAULT_MAX_ATTEMPTS),
    maxStalls: config.MAX_STALLS,
    timeoutMs:
      request.timeout_ms ?? (long ? config.LONG_RUNNING_TIMEOUT_MS : config.DEFAULT_TIMEOUT_MS),
    leaseMs: config.LEASE_SECONDS * 1_000,
    backOff: {
      baseMs: interactive ? config.INTERACTIVE_RETRY_BASE_MS : config.RETRY_BASE_MS,
      maxMs: config.RETRY_MAX_MS,
    },
    submittedAt: now,
    runAt,
    startBy,
    endBy: startBy + config.JOB_LIFE_SECONDS * 1_000,
    promptTokens,
    answerTokens: request.params?.max_tokens ?? config.DEFAULT_MAX_TOKENS,
    retentionMs: (request.retention_seconds ?? config.RETENTION_SECONDS) * 1_000,
    failedRetentionMs: (request.retention_seconds ?? config.FAILED_RETENTION_SECONDS) * 1_000,
    keyExpiresAt: now + (submission.keySeconds ?? config.IDEMPOTENCY_SECONDS) * 1_000,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
    ...(request.max_cost_usd === undefined ? {} : { maxCostUsd: request.max_cost_usd }),
    ...(submission.webhook === undefined ? {} : { webhook: submission.webhook }),
    ...(submission.batch === undefined ? {} : { batch: submission.batch }),
  };
  const worstNano = worstCaseNano({
    prices: spec.routes.map(({ price }) => price),
    maxAttempts: spec.maxAttempts,
    promptTokens: mostPromptTokens(request),
    maxTokens: request.params?.max_tokens ?? config.DEFAULT_MAX_TOKENS,
    maxCostUsd: spec.maxCostUsd,
  });
  return { ok: true, spec, worstNano };
}

/** A cap that cannot be kept, or that not one token of an answer fits under. */
function capRefusals(
  { max_cost_usd: maxCostUsd }: CreateJob,
  routes: Route[],
  promptTokens: number,
): Refusal[] {
  if (maxCostUsd === undefined) return [];
  return routes.flatMap(({ name, price }) => {
    const pointer = "/max_cost_usd";
    if (price?.input == null || price.output === null) {
      return [{ pointer, detail: `max_cost_usd needs a price, and "${name}" has none` }];
    }
    const tokens = affordableTokens({ maxCostUsd, promptTokens }, [], price);
    const detail = `max_cost_usd does not pay for the prompt with "${name}"`;
    return tokens < 1 ? [{ pointer, detail }] : [];
  });
}

function routesOf(request: CreateJob, config: Config): { routes: Route[]; refusals: Refusal[] } {
  const asked = [
    { pointer: "/model", name: request.model ?? config.DEFAULT_MODEL },
    ...(request.fallback_models ?? []).map((name, index) => ({
      pointer: `/fallback_models/${index}`,
      name,
    })),
  ];
  const routes: Route[] = [];
  const refusals: Refusal[] = [];
  for (const { pointer, name } of asked) {
    const resolved = resolveModel(name, config);
    if (!resolved.ok) {
      refusals.push({ pointer, detail: resolved.reason });
      continue;
    }
    routes.push(resolved.route);
    for (const param of ignoredParams(resolved.route, request.params)) {
      refusals.push({ pointer: `/params/${param}`, detail: `${param} is ignored by "${name}"` });
    }
  }
  return { routes, refusals };
}

function priorityOf(submission: Submission): { level: number; refusals: Refusal[] } {
  const { request, tier, priorityLevel: ordered } = submission;
  if (ordered !== undefined) return { level: ordered, refusals: [] };
  const { priorityLevel, bestPriorityLevel } = TIERS[tier];
  const level = request.priority ?? priorityLevel;
  if (level >= bestPriorityLevel) return { level, refusals: [] };
  const detail = `priority may not be better than ${bestPriorityLevel} in tier ${tier}`;
  return { level, refusals: [{ pointer: "/priority", detail }] };
}

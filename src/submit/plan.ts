import type { Config } from "../settings/config.ts";
import type { HttpPlan, JobSpec } from "../domain/job.ts";
import type { BatchPlace } from "../domain/batch-place.ts";
import { estimatedPromptTokens } from "../domain/cost.ts";
import { laneOf } from "../domain/lane.ts";
import type { Toll } from "../domain/template.ts";
import { TIERS } from "../domain/tier.ts";
import type { Webhook } from "../domain/webhook.ts";
import { mostPromptTokens, worstCaseNano } from "../domain/worst-case.ts";
import type { CreateJob, Tier } from "../schema/job.ts";
import { capRefusals, routesOf, type Refusal } from "./models.ts";
import { planSteps } from "./plan-steps.ts";

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
  /** What its `http` steps are sent with, by the index of the step; null for others. */
  httpSteps?: (HttpPlan | null)[];
  /** The job this one repeats, and how many of its first steps that one has finished. */
  replayOf?: string;
  finishedSteps?: number;
  /** How long its id is taken, where not as the settings say. */
  keySeconds?: number;
  /** The batch it is of. */
  batch?: BatchPlace;
  /** What rendering its steps to plan them is added to. */
  toll?: Toll;
  /** The operator's word on the priority, above the request's and the tier's. */
  priorityLevel?: number;
};

/** `worstNano`: the most it may cost, in billionths of a dollar; null: nobody can tell. */
export type Plan = { spec: JobSpec; worstNano: number | null };
export type Planned = ({ ok: true } & Plan) | { ok: false; refusals: Refusal[] };

/** Fills in what a request left open, from its profile, its tenant's tier and the settings. Pure. */
export function planJob(submission: Submission, config: Config): Planned {
  const { request, tier, now } = submission;
  const profile = request.profile ?? "default";
  const long = profile === "long_running";
  const tried = {
    maxAttempts:
      request.max_attempts ??
      (long ? config.LONG_RUNNING_MAX_ATTEMPTS : config.DEFAULT_MAX_ATTEMPTS),
    timeoutMs:
      request.timeout_ms ?? (long ? config.LONG_RUNNING_TIMEOUT_MS : config.DEFAULT_TIMEOUT_MS),
  };
  const priority = priorityOf(submission);
  const calls =
    request.steps === undefined
      ? planCall(request, tried.maxAttempts, config)
      : planSteps(request, tried, submission, config);
  const refusals = [...calls.refusals, ...priority.refusals];
  if (refusals.length > 0) return { ok: false, refusals };
  const { worstNano, ...called } = calls.planned;
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
    ...called,
    ...tried,
    maxStalls: config.MAX_STALLS,
    leaseMs: config.LEASE_SECONDS * 1_000,
    backOff: {
      baseMs: interactive ? config.INTERACTIVE_RETRY_BASE_MS : config.RETRY_BASE_MS,
      maxMs: config.RETRY_MAX_MS,
    },
    submittedAt: now,
    runAt,
    startBy,
    endBy: startBy + config.JOB_LIFE_SECONDS * 1_000,
    retentionMs: (request.retention_seconds ?? config.RETENTION_SECONDS) * 1_000,
    failedRetentionMs: (request.retention_seconds ?? config.FAILED_RETENTION_SECONDS) * 1_000,
    keyExpiresAt: now + (submission.keySeconds ?? config.IDEMPOTENCY_SECONDS) * 1_000,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
    ...(request.max_cost_usd === undefined ? {} : { maxCostUsd: request.max_cost_usd }),
    ...(submission.webhook === undefined ? {} : { webhook: submission.webhook }),
    ...(submission.batch === undefined ? {} : { batch: submission.batch }),
  };
  return { ok: true, spec, worstNano };
}

/** What is planned of a job's calls to models: `routes` etc. as in JobSpec. */
export type PlannedCalls = {
  refusals: Refusal[];
  planned: Pick<JobSpec, "routes" | "promptTokens" | "answerTokens" | "steps"> &
    Pick<Plan, "worstNano">;
};

function planCall(request: CreateJob, maxAttempts: number, config: Config): PlannedCalls {
  const asked = [
    { pointer: "/model", name: request.model ?? config.DEFAULT_MODEL },
    ...(request.fallback_models ?? []).map((name, index) => ({
      pointer: `/fallback_models/${index}`,
      name,
    })),
  ];
  const { params, max_cost_usd: maxCostUsd } = request;
  const { routes, refusals } = routesOf(asked, { pointer: "/params", params }, config);
  const promptTokens = estimatedPromptTokens(request);
  const answerTokens = params?.max_tokens ?? config.DEFAULT_MAX_TOKENS;
  const worstNano = worstCaseNano({
    prices: routes.map(({ price }) => price),
    maxAttempts,
    promptTokens: mostPromptTokens(request),
    maxTokens: answerTokens,
    maxCostUsd,
  });
  return {
    refusals: [...refusals, ...capRefusals(maxCostUsd, routes, promptTokens)],
    planned: { routes, promptTokens, answerTokens, worstNano },
  };
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

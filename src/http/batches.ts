import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { isUnlimited } from "../domain/account.ts";
import { itemId, itemUid, type BatchSpec } from "../domain/batch.ts";
import { iso } from "../domain/instant.ts";
import { sumOfWorst } from "../domain/worst-case.ts";
import { BATCH_ENDS } from "../domain/webhook.ts";
import { batchIdFor, fingerprintOf, objectName, randomToken } from "../ids.ts";
import type { BatchContent, BatchSubmitted } from "../ledgers/batch-rpc.ts";
import { batchOf } from "../ledgers/batch-stub.ts";
import { BatchAccepted, BatchReplayed, CreateBatch } from "../schema/batch.ts";
import { planBatch, type BatchPlan } from "../submit/plan-batch.ts";
import { planWebhook } from "../submit/plan-webhook.ts";
import { reserveAll, unreserveAll } from "../submit/reservation.ts";
import { openIntake, RateLimit, refusalOf, refusals, tellQuota, unreachable } from "./admission.ts";
import { needs } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid, RetryAfter } from "./document.ts";
import { ApiError, batchGone, keyReused } from "./errors.ts";
import { IdempotencyKey, refuseMalformedKey } from "./submissions.ts";
import { subscriptionToBatch } from "./tokens.ts";

const submitRoute = createRoute({
  method: "post",
  path: "/api/batches",
  operationId: "submitBatch",
  tags: ["batches"],
  summary: "Submit up to 1,000 jobs as one",
  description:
    "All items are checked before any is accepted. Answers 202 once the batch is durably accepted; its jobs are made after. The same Idempotency-Key with the same payload answers 200 with the same batch; with another payload, 422. Where the tenant has limits they let all of it in or nothing; a batch is one submission.",
  ...needs("batches", openIntake, jsonBody),
  request: {
    headers: z.object({ "idempotency-key": IdempotencyKey }),
    body: { required: true, content: { "application/json": { schema: CreateBatch } } },
  },
  responses: {
    202: {
      description: "Accepted",
      headers: {
        ...RetryAfter,
        ...RateLimit,
        Location: { schema: { type: "string" as const }, description: "The batch." },
      },
      content: { "application/json": { schema: BatchAccepted } },
    },
    200: {
      description: "Submitted before",
      headers: {
        ...RateLimit,
        "Idempotent-Replayed": {
          schema: { type: "string" as const },
          description: "Always `true`.",
        },
      },
      content: { "application/json": { schema: BatchReplayed } },
    },
    ...refusals(402, 410, 422, 429),
    ...problems(400, 401, 403, 413, 415, 431, 500, 503),
  },
});

export const batches = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

batches.openapi(submitRoute, async (c) => {
  const request = c.req.valid("json");
  const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
  refuseMalformedKey(idempotencyKey);
  const { tenant, tier, limits } = c.get("principal");
  const [id, fingerprint, webhook, plan] = await Promise.all([
    batchIdFor(tenant, idempotencyKey),
    fingerprintOf(request),
    webhookOf(c, request),
    planned(c, request),
  ]);
  const now = Date.now();
  const spec: BatchSpec = {
    id,
    uid: randomToken(16),
    tenant,
    tier,
    idempotencyKey,
    fingerprint,
    total: plan.items.items.length,
    reserved: !isUnlimited(limits),
    submittedAt: now,
    retentionMs: plan.retentionMs,
    keyExpiresAt: now + c.get("config").IDEMPOTENCY_SECONDS * 1_000,
    metadata: request.metadata ?? {},
    ...webhook,
  };
  const submitted = spec.reserved
    ? await submitReserved(c, spec, plan)
    : await submit(c, spec, plan);
  return answerTo(c, submitted);
});

async function planned(c: Context<App>, request: CreateBatch): Promise<BatchPlan> {
  const { tenant, tier } = c.get("principal");
  const submittedTo = new URL(c.req.url).origin;
  const about = { tenant, tier, submittedTo, now: Date.now() };
  const result = await planBatch(request, about, c.get("config"));
  if (result.ok) return result.plan;
  const { code, refusals: errors } = result;
  throw new ApiError(code, errors[0]?.detail ?? "", { errors });
}

/** Where the batch's own events are to go. */
async function webhookOf(
  c: Context<App>,
  { webhook_url, callback_headers }: CreateBatch,
): Promise<Pick<BatchSpec, "webhook">> {
  const { tenant } = c.get("principal");
  const submittedTo = new URL(c.req.url).origin;
  const asked = { webhook_url, callback_headers };
  const plan = await planWebhook(asked, { tenant, submittedTo }, c.get("config"));
  if (plan.ok)
    return plan.webhook === null ? {} : { webhook: { ...plan.webhook, events: BATCH_ENDS } };
  const { isUrl, refusals: errors } = plan;
  const detail = errors[0]?.detail ?? "";
  throw new ApiError(isUrl ? "webhook-url-rejected" : "invalid-request", detail, { errors });
}

async function submit(c: Context<App>, spec: BatchSpec, plan: BatchPlan): Promise<BatchSubmitted> {
  const content: BatchContent = {
    items: new TextEncoder().encode(JSON.stringify(plan.items)),
    customIds: plan.customIds,
    // Also of a tenant without limits: it may have some when items are tried again.
    worstNano: plan.worstNano,
  };
  return (await batchOf(c.env, spec.tenant, spec.id)).submit(spec, content);
}

/**
 * Submits a batch if its tenant's account lets all of it in, as `submitAdmitted` does one job: a repetition is never
 * refused, and what was reserved for it is given back.
 */
async function submitReserved(
  c: Context<App>,
  spec: BatchSpec,
  plan: BatchPlan,
): Promise<BatchSubmitted> {
  const { tenant, uid, submittedAt, total } = spec;
  const { limits } = c.get("principal");
  const jobs = await Promise.all(
    plan.models.map(async (about, index) => ({
      ...about,
      uid: itemUid(spec, index),
      job: await objectName(tenant, itemId(spec, index)),
      reserveNano: plan.worstNano[index] ?? null,
    })),
  );
  const giveBack = () => {
    const keys = Array.from({ length: total }, (_, at) => ({
      uid: itemUid(spec, at),
      submittedAt,
    }));
    c.executionCtx.waitUntil(unreserveAll(c.env, tenant, keys, uid));
  };
  const admission = await reserveAll(c.env, tenant, { limits, submission: uid, submittedAt, jobs });
  if (admission?.type === "admitted") {
    const submitted = await submit(c, spec, plan);
    tellQuota(c, admission.quota);
    if (submitted.type !== "accepted") giveBack();
    return submitted;
  }
  if (admission === null) giveBack();
  const before = await (await batchOf(c.env, tenant, spec.id)).recall(spec);
  if (before === null) {
    const worstNano = sumOfWorst(plan.worstNano);
    throw admission === null ? unreachable() : refusalOf(admission, { worstNano }, "batch");
  }
  if (admission !== null) tellQuota(c, admission.quota);
  return before;
}

async function answerTo(c: Context<App>, submitted: BatchSubmitted) {
  switch (submitted.type) {
    case "accepted": {
      const accepted = await links(c, submitted);
      const headers = { location: accepted.poll_url, "retry-after": "1" };
      return c.json({ ...accepted, status: "queued" as const }, 202, headers);
    }
    case "replayed": {
      const status = "already_submitted" as const;
      const message = "Duplicate submission detected";
      const replay = { ...(await links(c, submitted)), status, message };
      return c.json(replay, 200, { "idempotent-replayed": "true" });
    }
    case "reused":
      throw keyReused();
    case "gone":
      throw batchGone();
  }
}

async function links(
  c: Context<App>,
  { spec, jobIds }: Extract<BatchSubmitted, { spec: BatchSpec }>,
): Promise<Omit<BatchAccepted, "status">> {
  const poll_url = `/api/batches/${spec.id}`;
  const { events_url } = await subscriptionToBatch(c, spec.id);
  return {
    batch_id: spec.id,
    job_count: spec.total,
    job_ids: jobIds,
    poll_url,
    results_url: `${poll_url}/results`,
    events_url,
    cancel_url: `${poll_url}/cancel`,
    created_at: iso(spec.submittedAt),
  };
}

import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { MAX_STORED_REQUEST_BYTES } from "../settings/config.ts";
import type { JobSpec } from "../domain/job.ts";
import { claimName, fingerprintOf, IDEMPOTENCY_KEY, jobIdFor, stepsClaimName } from "../ids.ts";
import { objectName, randomToken } from "../ids.ts";
import type { Place } from "../domain/outlook.ts";
import type { Submitted } from "../job/job-rpc.ts";
import { jobNamed } from "../job/job-stub.ts";
import { claimNamed } from "../ledgers/claim-stub.ts";
import { keptOf } from "../submit/kept.ts";
import { planJob, type Plan, type Submission } from "../submit/plan.ts";
import { planHttpSteps } from "../submit/plan-http.ts";
import { planWebhook } from "../submit/plan-webhook.ts";
import { CreateJob, JobAccepted, JobReplayed, JobView, type KeptRequest } from "../schema/job.ts";
import { openIntake, RateLimit, refusals, submitAdmitted } from "./admission.ts";
import { needs, whileLetIn } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid, RetryAfter } from "./document.ts";
import { ApiError, jobGone, keyReused } from "./errors.ts";
import { endInTime } from "./changes.ts";
import { jobStub } from "./jobs.ts";
import { foreseenSubmission, hearOfLine } from "./lines.ts";
import { preferredWait } from "./prefer.ts";
import { subscriptionTo } from "./tokens.ts";

export const IdempotencyKey = z
  .string()
  .optional()
  .meta({ description: "1–255 visible ASCII characters.", example: "test-123" });

/** What a submission may be answered with, for the document. */
export const SUBMITTED = {
  202: {
    description: "Accepted",
    headers: {
      ...RetryAfter,
      ...RateLimit,
      Location: { schema: { type: "string" as const }, description: "The job." },
    },
    content: { "application/json": { schema: JobAccepted } },
  },
  200: {
    description: "Submitted before",
    headers: {
      ...RateLimit,
      "Idempotent-Replayed": { schema: { type: "string" as const }, description: "Always `true`." },
    },
    content: { "application/json": { schema: JobReplayed } },
  },
};

const submitRoute = createRoute({
  method: "post",
  path: "/api/jobs",
  operationId: "submitJob",
  tags: ["jobs"],
  summary: "Submit a job",
  description:
    "Answers 202 once the job is durably accepted. The same Idempotency-Key with the same payload answers 200 with the same job; with another payload, 422.",
  ...needs("jobs:write", openIntake, jsonBody),
  request: {
    headers: z.object({
      "idempotency-key": IdempotencyKey,
      prefer: z.string().optional().meta({
        description:
          "`wait=N`: 200 with the finished job if it ends within N seconds (60 at most).",
        example: "wait=30",
      }),
    }),
    body: { required: true, content: { "application/json": { schema: CreateJob } } },
  },
  responses: {
    ...SUBMITTED,
    200: {
      ...SUBMITTED[200],
      description: "Submitted before; or, where `Prefer: wait` was asked for, the finished job",
      content: { "application/json": { schema: z.union([JobReplayed, JobView]) } },
    },
    ...refusals(402, 410, 422, 429),
    ...problems(400, 401, 403, 413, 415, 431, 500, 503),
  },
});

export const submissions = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

submissions.openapi(submitRoute, async (c) => {
  const request = c.req.valid("json");
  const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
  refuseMalformedKey(idempotencyKey);
  const kept = keptOf(request);
  refuseUnstorable(kept);
  const [id, fingerprint, webhook, httpSteps] = await Promise.all([
    jobIdFor(c.get("principal").tenant, idempotencyKey),
    fingerprintOf(request),
    webhookOf(c, request),
    httpStepsOf(c, request),
  ]);
  const plan = planned(c, request, { id, idempotencyKey, fingerprint, ...webhook, ...httpSteps });
  const windowMs = (request.dedupe_window_seconds ?? 0) * 1_000;
  const place = placeOf(plan.spec);
  const isOnce = idempotencyKey === null && windowMs > 0;
  const [submitted] = await Promise.all([
    isOnce
      ? submitOnce(c, plan, request, windowMs)
      : submit(c, plan, kept, idempotencyKey === null),
    place === null ? null : hearOfLine(c, place, false),
  ]);
  const ended = await endWaitedFor(c, submitted);
  return ended === null ? answerTo(c, submitted) : c.json(...ended);
});

/** Whatever a key names must be something that can be told from others. */
export function refuseMalformedKey(key: string | null): void {
  if (key === null || IDEMPOTENCY_KEY.test(key)) return;
  throw new ApiError("invalid-request", "Idempotency-Key must be 1–255 visible ASCII characters");
}

/** Where it will stand in line; null: in none, for it calls no model at first. */
function placeOf({ lane, priorityLevel: priority, tenant, routes, steps }: JobSpec): Place | null {
  const [call] = steps === undefined ? routes : (steps[0]?.routes ?? []);
  return call === undefined ? null : { lane, priority, tenant, provider: call.provider };
}

/** The finished job, if the client prefers to wait for it and it ends in time. */
async function endWaitedFor(c: Context<App>, submitted: Submitted) {
  const seconds = preferredWait(c.req.header("prefer"));
  if (seconds === null || !("view" in submitted)) return null;
  const { view, type } = submitted;
  const job = () => jobStub(c, view.job_id);
  const until = Date.now() + seconds * 1_000;
  const ended = await whileLetIn(c, (gone) => endInTime(job, until, gone));
  if (ended === null) return null;
  const replayed = type === "replayed" ? { "idempotent-replayed": "true" } : {};
  return [ended, 200, { "preference-applied": `wait=${seconds}`, ...replayed }] as const;
}

/** Numbers may be longer as they are kept than as they came: `1e20` has 21 digits. */
function refuseUnstorable(request: KeptRequest): void {
  const bytes = new TextEncoder().encode(JSON.stringify(request)).byteLength;
  if (bytes <= MAX_STORED_REQUEST_BYTES) return;
  const limit = `${MAX_STORED_REQUEST_BYTES} bytes with its numbers written out`;
  throw new ApiError("payload-too-large", `The request is larger than ${limit}`);
}

/** Submits a job once its tenant's account has let it in. `isNew`: nobody can have its id yet. */
async function submit(
  c: Context<App>,
  plan: Plan,
  request: KeptRequest,
  isNew: boolean,
): Promise<Submitted> {
  const { spec } = plan;
  const name = await objectName(spec.tenant, spec.id);
  return submitAdmitted(
    c,
    { ...plan, name },
    {
      submit: () => jobNamed(c.env, name).submit(spec, request),
      recall: isNew ? null : () => jobNamed(c.env, name).recall(spec),
    },
  );
}

/** The same work within the window is the same job: whoever claims it first gives it its id. */
async function submitOnce(
  c: Context<App>,
  plan: Plan,
  request: CreateJob,
  windowMs: number,
): Promise<Submitted> {
  const { spec } = plan;
  const work = await workOf(spec, request);
  // Each with a charge of its own: what was reserved for the first may be given back while the second is let in.
  const submitAs = (id: string) => {
    const uid = randomToken(16);
    const named = { ...plan, spec: { ...spec, id, uid, fingerprint: work } };
    return submit(c, named, keptOf(request), false);
  };
  const id = await claimNamed(c.env, work).claim(spec.id, windowMs);
  const submitted = await submitAs(id);
  if (submitted.type !== "gone") return submitted;
  // The job that held the claim has been deleted, and with it the answer this one would have shared.
  await claimNamed(c.env, work).release(id);
  return submitAs(await claimNamed(c.env, work).claim(spec.id, windowMs));
}

/** The name of the claim on what a submission asks for. */
function workOf({ tenant, routes, steps }: JobSpec, request: CreateJob): Promise<string> {
  if (steps !== undefined) return stepsClaimName(tenant, steps, request);
  const [route] = routes;
  if (route === undefined) throw new Error("a planned job has no route");
  return claimName(tenant, route, keptOf(request));
}

/** Where the events of a submission are to go, if anywhere. */
async function webhookOf(
  c: Context<App>,
  request: CreateJob,
): Promise<Pick<Submission, "webhook">> {
  const submittedTo = new URL(c.req.url).origin;
  const { tenant } = c.get("principal");
  const plan = await planWebhook(request, { tenant, submittedTo }, c.get("config"));
  if (plan.ok) return plan.webhook === null ? {} : { webhook: plan.webhook };
  const { isUrl, refusals: errors } = plan;
  const detail = errors[0]?.detail ?? "";
  throw new ApiError(isUrl ? "webhook-url-rejected" : "invalid-request", detail, { errors });
}

/** What its `http` steps are sent with, if it has steps. */
async function httpStepsOf(
  c: Context<App>,
  request: CreateJob,
): Promise<Pick<Submission, "httpSteps">> {
  if (request.steps === undefined) return {};
  const submittedTo = new URL(c.req.url).origin;
  const { tenant } = c.get("principal");
  const plan = await planHttpSteps(request, { tenant, submittedTo }, c.get("config"));
  if (plan.ok) return { httpSteps: plan.httpSteps };
  const { isUrl, refusals: errors } = plan;
  const detail = errors[0]?.detail ?? "";
  throw new ApiError(isUrl ? "step-url-rejected" : "invalid-request", detail, { errors });
}

function planned(
  c: Context<App>,
  request: CreateJob,
  identity: Pick<Submission, "id" | "idempotencyKey" | "fingerprint" | "webhook" | "httpSteps">,
): Plan {
  const { tenant, tier } = c.get("principal");
  const [uid, now] = [randomToken(16), Date.now()];
  const plan = planJob({ ...identity, request, tenant, tier, uid, now }, c.get("config"));
  if (plan.ok) return plan;
  const { refusals: errors } = plan;
  throw new ApiError("invalid-request", errors[0]?.detail ?? "", { errors });
}

/** The answer to a submission, whether of a new job or one that repeats another. */
export async function answerTo(c: Context<App>, answer: Submitted) {
  const submitted = await foreseenSubmission(c, answer);
  switch (submitted.type) {
    case "accepted": {
      const accepted = await links(c, submitted.view);
      const headers = { location: accepted.poll_url, "retry-after": "1" };
      return c.json({ ...accepted, status: "queued" as const }, 202, headers);
    }
    case "replayed": {
      const message = "Duplicate submission detected";
      const replay = {
        ...(await links(c, submitted.view)),
        status: "already_submitted" as const,
        message,
      };
      return c.json(replay, 200, { "idempotent-replayed": "true" });
    }
    case "reused":
      throw keyReused();
    case "gone":
      throw jobGone();
  }
}

async function links(c: Context<App>, view: JobView): Promise<Omit<JobAccepted, "status">> {
  const { job_id, priority, priority_level, estimated_wait = 0, submitted_at } = view;
  const poll_url = `/api/jobs/${job_id}`;
  const { subscribe_token, events_url } = await subscriptionTo(c, job_id);
  return {
    job_id,
    poll_url,
    websocket_url: `/ws/jobs/${job_id}`,
    events_url,
    cancel_url: `${poll_url}/cancel`,
    subscribe_token,
    priority,
    priority_level,
    estimated_wait,
    submitted_at,
  };
}

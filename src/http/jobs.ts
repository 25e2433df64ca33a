import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { pollAfterSeconds } from "../domain/estimate.ts";
import type { Found, JobRpc } from "../job-rpc.ts";
import { jobNamed } from "../job-stub.ts";
import { planJob } from "../plan.ts";
import { CreateJob, JobAccepted, JobReplayed, JobView } from "../schema/job.ts";
import { authenticate } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError, jobGone, jobNotFound } from "./errors.ts";
import { fingerprintOf, IDEMPOTENCY_KEY, JOB_ID, jobIdFor, objectName } from "./ids.ts";

export const JobParams = z.object({
  id: z.string().meta({ param: { name: "id", in: "path" }, example: "test-123" }),
});

const RetryAfter = {
  "Retry-After": { schema: { type: "integer" as const }, description: "Seconds." },
};

const submitRoute = createRoute({
  method: "post",
  path: "/api/jobs",
  operationId: "submitJob",
  tags: ["jobs"],
  summary: "Submit a job",
  description:
    "Answers 202 once the job is durably accepted. The same Idempotency-Key with the same payload answers 200 with the same job; with another payload, 422.",
  middleware: [authenticate, jsonBody] as const,
  request: {
    headers: z.object({
      "idempotency-key": z
        .string()
        .optional()
        .meta({ description: "1–255 visible ASCII characters.", example: "test-123" }),
    }),
    body: { required: true, content: { "application/json": { schema: CreateJob } } },
  },
  responses: {
    202: {
      description: "Accepted",
      headers: {
        ...RetryAfter,
        Location: { schema: { type: "string" }, description: "The job." },
      },
      content: { "application/json": { schema: JobAccepted } },
    },
    200: {
      description: "Submitted before",
      headers: {
        "Idempotent-Replayed": { schema: { type: "string" }, description: "Always `true`." },
      },
      content: { "application/json": { schema: JobReplayed } },
    },
    ...problems(400, 401, 410, 413, 415, 422, 500, 503),
  },
});

const readRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}",
  operationId: "readJob",
  tags: ["jobs"],
  summary: "Read a job",
  middleware: [authenticate] as const,
  request: {
    params: JobParams,
    query: z.object({
      include: z.literal("partial_output").optional().meta({
        description: "Shows the text so far of a job that is active.",
      }),
    }),
  },
  responses: {
    200: {
      description: "The job",
      headers: RetryAfter,
      content: { "application/json": { schema: JobView } },
    },
    ...problems(400, 401, 404, 410, 500, 503),
  },
});

const cancelRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/cancel",
  operationId: "cancelJob",
  tags: ["jobs"],
  summary: "Cancel a job",
  description:
    "Final. The answer holds the text so far. A job that has ended already is answered as it is.",
  middleware: [authenticate] as const,
  request: { params: JobParams },
  responses: {
    200: { description: "The job", content: { "application/json": { schema: JobView } } },
    ...problems(401, 404, 410, 500, 503),
  },
});

export const jobs = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

jobs.openapi(submitRoute, async (c) => {
  const { tenant, tier } = c.get("principal");
  const request = c.req.valid("json");
  const idempotencyKey = c.req.valid("header")["idempotency-key"] ?? null;
  if (idempotencyKey !== null && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
    throw new ApiError("invalid-request", "Idempotency-Key must be 1–255 visible ASCII characters");
  }
  const [id, fingerprint] = await Promise.all([
    jobIdFor(tenant, idempotencyKey),
    fingerprintOf(request),
  ]);
  const now = Date.now();
  const planned = planJob(
    { request, tenant, tier, id, idempotencyKey, fingerprint, now },
    c.get("config"),
  );
  if (!planned.ok) {
    const [first] = planned.refusals;
    throw new ApiError("invalid-request", first?.detail ?? "", { errors: planned.refusals });
  }
  const submitted = await (await jobStub(c, id)).submit(planned.spec, request);
  switch (submitted.type) {
    case "accepted": {
      const headers = { location: `/api/jobs/${id}`, "retry-after": "1" };
      return c.json({ ...links(submitted.view), status: "queued" as const }, 202, headers);
    }
    case "replayed": {
      const message = "Duplicate submission detected";
      const replay = { ...links(submitted.view), status: "already_submitted" as const, message };
      return c.json(replay, 200, { "idempotent-replayed": "true" });
    }
    case "reused":
      throw new ApiError(
        "idempotency-key-reused",
        "This Idempotency-Key was used with another payload",
      );
    case "gone":
      throw jobGone();
  }
});

jobs.openapi(readRoute, async (c) => {
  const stub = await jobStub(c, c.req.valid("param").id);
  const view = found(await stub.read(c.req.valid("query").include === "partial_output"));
  const ageMs = Date.now() - Date.parse(view.submitted_at);
  const pending = view.status === "queued" || view.status === "active";
  if (pending) c.header("retry-after", String(pollAfterSeconds(ageMs)));
  return c.json(view, 200);
});

jobs.openapi(cancelRoute, async (c) => {
  const stub = await jobStub(c, c.req.valid("param").id);
  return c.json(found(await stub.cancel("Cancelled by the client")), 200);
});

/** The object of one of the caller's own jobs. An id that cannot be one is unknown, and names no object. */
export async function jobStub(c: Context<App>, id: string): Promise<JobRpc> {
  if (!JOB_ID.test(id)) throw jobNotFound();
  return jobNamed(c.env, await objectName(c.get("principal").tenant, id));
}

export function found<T>(result: Found<T>): T {
  if (result.type === "unknown") throw jobNotFound();
  if (result.type === "gone") throw jobGone();
  return result.value;
}

function links(view: JobView): Omit<JobAccepted, "status"> {
  const { job_id, priority, priority_level, estimated_wait = 0, submitted_at } = view;
  const poll_url = `/api/jobs/${job_id}`;
  return {
    job_id,
    poll_url,
    websocket_url: `/ws/jobs/${job_id}`,
    events_url: `${poll_url}/events`,
    cancel_url: `${poll_url}/cancel`,
    priority,
    priority_level,
    estimated_wait,
    submitted_at,
  };
}

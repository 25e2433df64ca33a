import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import type { Found, OwnJob } from "../job/job-rpc.ts";
import { ownJobNamed } from "../job/job-stub.ts";
import { AttemptView, JobView } from "../schema/job.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { jobGone, jobNotFound } from "./errors.ts";
import { JOB_ID, objectName } from "../ids.ts";

export const JobParams = z.object({
  id: z.string().meta({ param: { name: "id", in: "path" }, example: "test-123" }),
});

const cancelRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/cancel",
  operationId: "cancelJob",
  tags: ["jobs"],
  summary: "Cancel a job",
  description:
    "Final. The answer holds the text so far. A job that has ended already is answered as it is.",
  ...needs("jobs:write"),
  request: { params: JobParams },
  responses: {
    200: { description: "The job", content: { "application/json": { schema: JobView } } },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const deleteRoute = createRoute({
  method: "delete",
  path: "/api/jobs/{id}",
  operationId: "deleteJob",
  tags: ["jobs"],
  summary: "Delete a job",
  description:
    "Cancels it if it has not ended, and deletes all it held at once. The id answers 410 from then on.",
  ...needs("jobs:write"),
  request: { params: JobParams },
  responses: { 204: { description: "Deleted" }, ...problems(401, 403, 404, 410, 500, 503) },
});

const attemptsRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}/attempts",
  operationId: "listAttempts",
  tags: ["jobs"],
  summary: "The calls a job has made",
  ...needs("jobs:read"),
  request: { params: JobParams },
  responses: {
    200: {
      description: "In their order",
      content: {
        "application/json": {
          schema: z.object({ job_id: z.string(), attempts: z.array(AttemptView) }),
        },
      },
    },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

export const jobs = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

jobs.openapi(deleteRoute, async (c) => {
  found(await (await jobStub(c, c.req.valid("param").id)).delete());
  return c.body(null, 204);
});

jobs.openapi(attemptsRoute, async (c) => {
  const { id } = c.req.valid("param");
  const attempts = found(await (await jobStub(c, id)).attempts());
  return c.json({ job_id: id, attempts }, 200);
});

jobs.openapi(cancelRoute, async (c) => {
  const stub = await jobStub(c, c.req.valid("param").id);
  return c.json(found(await stub.cancel("Cancelled by the client")), 200);
});

/** The object of one of the caller's own jobs. An id that cannot be one is unknown, and names no object. */
export async function jobStub(c: Context<App>, id: string): Promise<OwnJob> {
  if (!mayName(c, id)) throw jobNotFound();
  const { tenant } = c.get("principal");
  return ownJobNamed(c.env, await objectName(tenant, id), tenant);
}

/** Whether an id can be a job's, and one the caller was let in for. */
export function mayName(c: Context<App>, id: string): boolean {
  const { only } = c.get("principal");
  return JOB_ID.test(id) && (only === undefined || only.jobId === id);
}

export function found<T>(result: Found<T>): T {
  if (result.type === "unknown") throw jobNotFound();
  if (result.type === "gone") throw jobGone();
  return result.value;
}

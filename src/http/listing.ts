import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import { cursorOf, placeAt } from "../domain/cursor.ts";
import type { ListingPosition } from "../domain/listing.ts";
import { JOB_ID } from "../ids.ts";
import { shardsOf } from "../ledgers/listing-stub.ts";
import { foreseenJob } from "./lines.ts";
import { listJobs, type ListingPorts } from "./list-jobs.ts";
import { logFault } from "../log.ts";
import { JobList, JobListQuery } from "../schema/listing.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { jobStub } from "./jobs.ts";

const listRoute = createRoute({
  method: "get",
  path: "/api/jobs",
  operationId: "listJobs",
  tags: ["jobs"],
  summary: "List jobs",
  description:
    "Newest first. A cursor is a place in that order, so jobs submitted meanwhile neither repeat nor hide any. A job is in the list within moments of its 202, and under its final status within moments of its end.",
  ...needs("jobs:read"),
  request: { query: JobListQuery },
  responses: {
    200: { description: "A page", content: { "application/json": { schema: JobList } } },
    ...problems(400, 401, 403, 500, 503),
  },
});

export const listing = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

listing.openapi(listRoute, async (c) => {
  const { status = null, model = null, created_after, limit, cursor } = c.req.valid("query");
  const createdAfter = created_after === undefined ? null : Date.parse(created_after);
  const before = cursor === undefined ? null : positionOf(cursor);
  const ports: ListingPorts = {
    shards: await shardsOf(c.env, c.get("principal").tenant),
    glance: async (id) => foreseenJob(c, await (await jobStub(c, id)).glance()),
    now: Date.now,
    discard: (shard, key) =>
      c.executionCtx.waitUntil(
        shard
          .remove(key)
          .catch((error) => logFault("listing.unremoved", { job_id: key.jobId }, error)),
      ),
  };
  const { jobs, next } = await listJobs({ status, model, createdAfter }, before, limit, ports);
  const next_cursor = next === null ? null : cursorOf(next.submittedAt, next.jobId);
  return c.json({ jobs, has_more: next !== null, next_cursor }, 200);
});

function positionOf(cursor: string): ListingPosition {
  const place = placeAt(cursor);
  if (place === null || !JOB_ID.test(place.id)) {
    const detail = "cursor is not one that a page has named";
    throw new ApiError("invalid-request", detail, { errors: [{ pointer: "/cursor", detail }] });
  }
  return { submittedAt: place.instant, jobId: place.id };
}

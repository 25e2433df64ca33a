import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { cursorOf } from "../domain/cursor.ts";
import type { LetterFilter } from "../domain/dead-letter.ts";
import { groupView, itemOf, letterView, positionAt } from "../domain/letter-view.ts";
import { deadLetters } from "../ledgers/dead-letter-stub.ts";
import {
  DeadLetterFilters,
  DeadLetterGroups,
  DeadLetterList,
  DeadLetterQuery,
  DeadLetterRetried,
  DeadLetterView,
} from "../schema/dead-letter.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const tags = ["dead letters"];

const LetterParams = z.object({
  dlq_id: z
    .string()
    .meta({ param: { name: "dlq_id", in: "path" }, example: "dlq_Zm9yIGV4YW1wbGU" }),
});

const listRoute = createRoute({
  method: "get",
  path: "/api/admin/dead-letter",
  operationId: "listDeadLetters",
  tags,
  summary: "List the jobs given up on",
  description: "Newest failure first. Letters that come or go meanwhile disturb no later page.",
  ...needs("admin"),
  request: { query: DeadLetterQuery },
  responses: {
    200: { description: "A page", content: { "application/json": { schema: DeadLetterList } } },
    ...problems(400, 401, 403, 500, 503),
  },
});

const groupsRoute = createRoute({
  method: "get",
  path: "/api/admin/dead-letter/groups",
  operationId: "listDeadLetterGroups",
  tags,
  summary: "See in which ways jobs failed",
  ...needs("admin"),
  request: { query: DeadLetterFilters },
  responses: {
    200: { description: "Groups", content: { "application/json": { schema: DeadLetterGroups } } },
    ...problems(400, 401, 403, 500, 503),
  },
});

const readRoute = createRoute({
  method: "get",
  path: "/api/admin/dead-letter/{dlq_id}",
  operationId: "readDeadLetter",
  tags,
  summary: "Read a dead letter with its request and attempts",
  ...needs("admin"),
  request: { params: LetterParams },
  responses: {
    200: { description: "The letter", content: { "application/json": { schema: DeadLetterView } } },
    ...problems(401, 403, 404, 500, 503),
  },
});

const retryRoute = createRoute({
  method: "post",
  path: "/api/admin/dead-letter/{dlq_id}/retry",
  operationId: "retryDeadLetter",
  tags,
  summary: "Submit the job of a dead letter again",
  description:
    "At priority 1; the letter is gone then. Asked again, it answers with the same new job. 409 if the job cannot be submitted any more, such as when its model was taken off the list or the new job was made before and is gone; the letter stays.",
  ...needs("admin"),
  request: { params: LetterParams },
  responses: {
    200: {
      description: "Submitted",
      content: { "application/json": { schema: DeadLetterRetried } },
    },
    ...problems(401, 403, 404, 409, 500, 503),
  },
});

const discardRoute = createRoute({
  method: "delete",
  path: "/api/admin/dead-letter/{dlq_id}",
  operationId: "discardDeadLetter",
  tags,
  summary: "Drop a dead letter",
  ...needs("admin"),
  request: { params: LetterParams },
  responses: {
    204: { description: "Dropped" },
    ...problems(401, 403, 404, 500, 503),
  },
});

export const deadLetterRoutes = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

deadLetterRoutes.openapi(listRoute, async (c) => {
  const { limit, cursor, ...filters } = c.req.valid("query");
  const before = cursor === undefined ? null : positionAt(cursor);
  if (cursor !== undefined && before === null) {
    const errors = [{ pointer: "/cursor", detail: "cursor is not one of ours" }];
    throw new ApiError("invalid-request", "cursor is not one of ours", { errors });
  }
  const page = await deadLetters(c.env).list(filterOf(filters), before, limit);
  const jobs = page.letters.map((letter) => itemOf(letter, showsPreview(c.get("config"))));
  const next_cursor = page.next === null ? null : cursorOf(page.next.failedAt, page.next.id);
  return c.json({ count: jobs.length, total: page.total, jobs, next_cursor }, 200);
});

// Before the one letter, whose path it would fit.
deadLetterRoutes.openapi(groupsRoute, async (c) => {
  const groups = await deadLetters(c.env).groups(filterOf(c.req.valid("query")));
  return c.json({ groups: groups.map(groupView) }, 200);
});

deadLetterRoutes.openapi(readRoute, async (c) => {
  const letter = await deadLetters(c.env).read(c.req.valid("param").dlq_id);
  if (letter === null) throw notFound();
  return c.json(letterView(letter, showsPreview(c.get("config"))), 200);
});

deadLetterRoutes.openapi(retryRoute, async (c) => {
  const retried = await deadLetters(c.env).retry(c.req.valid("param").dlq_id);
  switch (retried.type) {
    case "resubmitted": {
      const { newJobId: new_job_id, jobId: original_job_id } = retried;
      return c.json({ message: "Job resubmitted" as const, new_job_id, original_job_id }, 200);
    }
    case "refused": {
      const errors = retried.refusals.map(({ pointer, detail }) => ({ pointer, detail }));
      throw new ApiError("dead-letter-refused", errors[0]?.detail ?? "", { errors });
    }
    case "unknown":
      throw notFound();
  }
});

deadLetterRoutes.openapi(discardRoute, async (c) => {
  const discarded = await deadLetters(c.env).discard(c.req.valid("param").dlq_id);
  if (!discarded) throw notFound();
  return c.body(null, 204);
});

/** The filters as the ledger knows them; absent stays absent. */
export function filterOf({ error_code, ...rest }: DeadLetterFilters): LetterFilter {
  return { ...defined(rest), ...(error_code === undefined ? {} : { errorCode: error_code }) };
}

function defined<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}

function showsPreview({ DEAD_LETTER_PREVIEW }: App["Variables"]["config"]): boolean {
  return DEAD_LETTER_PREVIEW === "on";
}

function notFound(): ApiError {
  return new ApiError("dead-letter-not-found", "Dead letter job not found");
}

import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { operationView } from "../domain/letter-view.ts";
import type { Action, Selection } from "../domain/operation.ts";
import { deadLetters } from "../ledgers/dead-letter-stub.ts";
import { DeadLetterSelection, OperationAccepted, OperationView } from "../schema/dead-letter.ts";
import { needs } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { filterOf } from "./dead-letters.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const tags = ["dead letters"];

function bulkRoute<A extends Action>(action: A, summary: string) {
  return createRoute({
    method: "post",
    path: `/api/admin/dead-letter/${action}`,
    operationId: `${action}DeadLetters`,
    tags,
    summary,
    description:
      "Begins an operation on the letters there are now, so many in a second; what it has done is read at `status_url`.",
    ...needs("admin", jsonBody),
    request: {
      body: { required: true, content: { "application/json": { schema: DeadLetterSelection } } },
    },
    responses: {
      202: {
        description: "Begun",
        headers: { Location: { schema: { type: "string" }, description: "The operation." } },
        content: { "application/json": { schema: OperationAccepted } },
      },
      ...problems(400, 401, 403, 413, 415, 500, 503),
    },
  });
}

const retryRoute = bulkRoute("retry", "Submit the jobs of many dead letters again");
const discardRoute = bulkRoute("discard", "Drop many dead letters");

const statusRoute = createRoute({
  method: "get",
  path: "/api/admin/dead-letter/operations/{operation_id}",
  operationId: "readDeadLetterOperation",
  tags,
  summary: "See how far an operation has come",
  description:
    "Known for 7 days after its end. A letter that went another way meanwhile is not counted.",
  ...needs("admin"),
  request: {
    params: z.object({
      operation_id: z
        .string()
        .meta({ param: { name: "operation_id", in: "path" }, example: "op_Zm9y" }),
    }),
  },
  responses: {
    200: {
      description: "The operation",
      content: { "application/json": { schema: OperationView } },
    },
    ...problems(401, 403, 404, 500, 503),
  },
});

export const deadLetterOperations = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

deadLetterOperations.openapi(retryRoute, async (c) => {
  const accepted = await start(c, "retry", c.req.valid("json"));
  return c.json(accepted, 202, { location: accepted.status_url });
});

deadLetterOperations.openapi(discardRoute, async (c) => {
  const accepted = await start(c, "discard", c.req.valid("json"));
  return c.json(accepted, 202, { location: accepted.status_url });
});

deadLetterOperations.openapi(statusRoute, async (c) => {
  const operation = await deadLetters(c.env).operation(c.req.valid("param").operation_id);
  if (operation === null) throw new ApiError("operation-not-found", "Operation not found");
  return c.json(operationView(operation), 200);
});

async function start(c: Context<App>, action: Action, asked: DeadLetterSelection) {
  const rate = asked.rate_per_second ?? c.get("config").DEAD_LETTER_RATE;
  const operation = await deadLetters(c.env).start(action, selectionOf(asked), rate);
  return {
    operation_id: operation.operationId,
    action,
    matched: operation.matched,
    rate_per_second: operation.ratePerSecond,
    status_url: `/api/admin/dead-letter/operations/${operation.operationId}`,
  };
}

function selectionOf({ ids, filter = {} }: DeadLetterSelection): Selection {
  if (ids !== undefined) return { ids };
  const { failed_before, ...filters } = filter;
  const before = failed_before === undefined ? {} : { failedBefore: Date.parse(failed_before) };
  return { filter: { ...filterOf(filters), ...before } };
}

import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import type { BatchLogPage } from "../ledgers/batch-rpc.ts";
import { batchLog } from "../ledgers/batch-stub.ts";
import { BatchConnected, BatchEvent, BatchEventPage } from "../schema/batch.ts";
import { Subscription } from "../schema/token.ts";
import { needs, needsToFollow } from "./auth.ts";
import { BatchParams, foundBatch, ownBatch } from "./batch-reads.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { answerLog, LogRequest } from "./log-answer.ts";
import { subscriptionToBatch } from "./tokens.ts";

/** By name: the generator would melt a union of unions into one list. */
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const eventsRoute = createRoute({
  method: "get",
  path: "/api/batches/{id}/events",
  operationId: "followBatch",
  tags: ["batches"],
  summary: "Follow a batch by Server-Sent Events",
  description:
    "Starts with an unnumbered `connected` frame, then the log from the cursor, then what comes, until the batch has ended. 204 at or past the end; where failed items are tried again the log goes on behind it. With `Accept: application/json` it is a page of the log instead.",
  ...needsToFollow("batches"),
  request: { params: BatchParams, ...LogRequest },
  responses: {
    200: {
      description: "One `data:` line of JSON per frame; or a page.",
      content: {
        "text/event-stream": { schema: { oneOf: [ref("BatchConnected"), ref("BatchEvent")] } },
        "application/json": { schema: BatchEventPage },
      },
    },
    204: { description: "Nothing more will come, unless failed items are tried again" },
    ...problems(400, 401, 403, 404, 410, 500, 503),
  },
});

const tokenRoute = createRoute({
  method: "post",
  path: "/api/batches/{id}/tokens",
  operationId: "issueBatchSubscribeToken",
  tags: ["batches"],
  summary: "A fresh token for a browser to follow a batch by",
  description:
    "Reads the events of this one batch and nothing else, for minutes. Connections that were opened with it are closed when it expires.",
  ...needs("batches"),
  request: { params: BatchParams },
  responses: {
    201: { description: "The token", content: { "application/json": { schema: Subscription } } },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

export const batchEvents = new OpenAPIHono<App>({ defaultHook: refuseInvalid });
batchEvents.openAPIRegistry.register("BatchConnected", BatchConnected);
batchEvents.openAPIRegistry.register("BatchEvent", BatchEvent);

batchEvents.openapi(eventsRoute, (c) => {
  const { id } = c.req.valid("param");
  const { tenant } = c.get("principal");
  const log = async () => batchLog(await ownBatch(c, id), tenant);
  return answerLog(c, { log, found: foundBatch<BatchLogPage>, standOf });
});

batchEvents.openapi(tokenRoute, async (c) => {
  const { id } = c.req.valid("param");
  foundBatch(await (await ownBatch(c, id)).read(c.get("principal").tenant));
  return c.json(await subscriptionToBatch(c, id), 201);
});

function standOf({
  batchId: batch_id,
  status,
}: BatchLogPage): Omit<BatchConnected, "type" | "last_seq"> {
  return { batch_id, status };
}

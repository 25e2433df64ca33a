import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { pollAfterSeconds } from "../domain/estimate.ts";
import { JOB_ID } from "../ids.ts";
import type { Found } from "../job/job-rpc.ts";
import type { BatchRpc } from "../ledgers/batch-rpc.ts";
import { batchOf } from "../ledgers/batch-stub.ts";
import { BatchRetried, BatchView } from "../schema/batch.ts";
import { openIntake, RateLimit, refusalOf, refusals, tellQuota, unreachable } from "./admission.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid, RetryAfter } from "./document.ts";
import { ApiError, batchGone, batchNotFound } from "./errors.ts";

export const BatchParams = z.object({
  id: z.string().meta({ param: { name: "id", in: "path" }, example: "nightly-42" }),
});

const readRoute = createRoute({
  method: "get",
  path: "/api/batches/{id}",
  operationId: "readBatch",
  tags: ["batches"],
  summary: "See how far a batch is",
  ...needs("batches"),
  request: { params: BatchParams },
  responses: {
    200: {
      description: "The batch",
      headers: RetryAfter,
      content: { "application/json": { schema: BatchView } },
    },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const cancelRoute = createRoute({
  method: "post",
  path: "/api/batches/{id}/cancel",
  operationId: "cancelBatch",
  tags: ["batches"],
  summary: "Cancel a batch",
  description:
    "Final. Items that have not begun are cancelled at once, those that run are stopped; what has ended keeps its result. A batch that has ended already is answered as it is.",
  ...needs("batches"),
  request: { params: BatchParams },
  responses: {
    200: { description: "The batch", content: { "application/json": { schema: BatchView } } },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const retryRoute = createRoute({
  method: "post",
  path: "/api/batches/{id}/retry-failed",
  operationId: "retryFailedItems",
  tags: ["batches"],
  summary: "Try the failed items of a batch again",
  description:
    "In the same batch, each as a new job whose `replay_of` names the one that failed; the batch is open again until they have ended. Asked again while none has failed, it tries none.",
  ...needs("batches", openIntake),
  request: { params: BatchParams },
  responses: {
    202: {
      description: "The batch, and how many are tried again",
      headers: RateLimit,
      content: { "application/json": { schema: BatchRetried } },
    },
    ...refusals(402, 429),
    ...problems(401, 403, 404, 409, 410, 500, 503),
  },
});

export const batchReads = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

batchReads.openapi(readRoute, async (c) => {
  const batch = await ownBatch(c, c.req.valid("param").id);
  const view = foundBatch(await batch.read(c.get("principal").tenant));
  if (!view.is_complete) {
    const ageMs = Date.now() - Date.parse(view.created_at);
    c.header("retry-after", String(pollAfterSeconds(ageMs)));
  }
  return c.json(view, 200);
});

batchReads.openapi(cancelRoute, async (c) => {
  const batch = await ownBatch(c, c.req.valid("param").id);
  return c.json(foundBatch(await batch.cancel(c.get("principal").tenant)), 200);
});

batchReads.openapi(retryRoute, async (c) => {
  const { limits, tier, tenant } = c.get("principal");
  const batch = await ownBatch(c, c.req.valid("param").id);
  const result = foundBatch(await batch.retryFailed({ limits, tier }, tenant));
  switch (result.type) {
    case "retried":
      if (result.quota !== null) tellQuota(c, result.quota);
      return c.json({ ...result.view, retried: result.retried }, 202);
    case "cancelled":
      throw new ApiError("batch-cancelled", "A batch that was cancelled cannot be tried again");
    case "refused": {
      const { refusal, worstNano } = result;
      throw refusal === null ? unreachable() : refusalOf(refusal, { worstNano }, "retry");
    }
  }
});

/** The object of one of the caller's own batches. An id that cannot be one is unknown, and names no object. */
export async function ownBatch(c: Context<App>, id: string): Promise<BatchRpc> {
  if (!JOB_ID.test(id)) throw batchNotFound();
  return batchOf(c.env, c.get("principal").tenant, id);
}

export function foundBatch<T>(result: Found<T>): T {
  if (result.type === "unknown") throw batchNotFound();
  if (result.type === "gone") throw batchGone();
  return result.value;
}

import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { DeliveryView } from "../schema/delivery.ts";
import { needs } from "./auth.ts";
import { BatchParams, foundBatch, ownBatch } from "./batch-reads.ts";
import type { App } from "./context.ts";
import { DeliveryId, REPLAY, replayedDelivery } from "./deliveries.ts";
import { problems, refuseInvalid } from "./document.ts";

const listRoute = createRoute({
  method: "get",
  path: "/api/batches/{id}/deliveries",
  operationId: "listBatchDeliveries",
  tags: ["webhooks"],
  summary: "What a batch's webhook was sent",
  description:
    "Each end of the batch that is owed to the webhook, with the attempts at it. Kept as long as the batch, which is kept until all are settled. What its items' own webhooks were sent is told by their jobs.",
  ...needs("batches"),
  request: { params: BatchParams },
  responses: {
    200: {
      description: "In the order of their events",
      content: {
        "application/json": {
          schema: z.object({ batch_id: z.string(), deliveries: z.array(DeliveryView) }),
        },
      },
    },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const replayRoute = createRoute({
  method: "post",
  path: "/api/batches/{id}/deliveries/{delivery_id}/replay",
  operationId: "replayBatchDelivery",
  tags: ["webhooks"],
  summary: "Deliver the end of a batch once more",
  ...REPLAY,
  ...needs("webhooks"),
  request: { params: BatchParams.extend(DeliveryId) },
});

export const batchDeliveries = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

batchDeliveries.openapi(listRoute, async (c) => {
  const { id } = c.req.valid("param");
  const batch = await ownBatch(c, id);
  const deliveries = foundBatch(await batch.deliveries(c.get("principal").tenant));
  return c.json({ batch_id: id, deliveries }, 200);
});

batchDeliveries.openapi(replayRoute, async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  const batch = await ownBatch(c, id);
  const { tenant } = c.get("principal");
  const delivery = foundBatch(await batch.replayDelivery(delivery_id, tenant));
  return c.json(replayedDelivery(delivery), 202);
});

import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { DeliveryView } from "../schema/delivery.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { found, JobParams, jobStub } from "./jobs.ts";

/** Names a delivery in a path. */
export const DeliveryId = {
  delivery_id: z.string().meta({ param: { name: "delivery_id", in: "path" } }),
};

const replayed = {
  description: "It is owed again",
  content: { "application/json": { schema: DeliveryView } },
};

/** What a replay does, and how it is answered, whosever delivery it is. */
export const REPLAY = {
  description:
    "With the same `webhook-id` and body, signed with the current secret, on the whole schedule of attempts.",
  responses: { 202: replayed, ...problems(401, 403, 404, 410, 500, 503) },
};

/** The delivery that is owed again. Throws ApiError where there is none. */
export function replayedDelivery(delivery: DeliveryView | null): DeliveryView {
  if (delivery === null) throw new ApiError("delivery-not-found", "Delivery not found");
  return delivery;
}

const listRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}/deliveries",
  operationId: "listDeliveries",
  tags: ["webhooks"],
  summary: "What a job's webhook was sent",
  description:
    "Each event that is owed to the webhook, with the attempts at it. Kept as long as the job, which is kept until all are settled.",
  ...needs("jobs:read"),
  request: { params: JobParams },
  responses: {
    200: {
      description: "In the order of their events",
      content: {
        "application/json": {
          schema: z.object({ job_id: z.string(), deliveries: z.array(DeliveryView) }),
        },
      },
    },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const replayRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/deliveries/{delivery_id}/replay",
  operationId: "replayDelivery",
  tags: ["webhooks"],
  summary: "Deliver an event once more",
  ...REPLAY,
  ...needs("webhooks"),
  request: { params: JobParams.extend(DeliveryId) },
});

export const deliveries = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

deliveries.openapi(listRoute, async (c) => {
  const { id } = c.req.valid("param");
  return c.json({ job_id: id, deliveries: found(await (await jobStub(c, id)).deliveries()) }, 200);
});

deliveries.openapi(replayRoute, async (c) => {
  const { id, delivery_id } = c.req.valid("param");
  const delivery = found(await (await jobStub(c, id)).replayDelivery(delivery_id));
  return c.json(replayedDelivery(delivery), 202);
});

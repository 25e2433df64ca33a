import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import type { App } from "./context.ts";

const Health = z
  .object({
    status: z.enum(["ok", "degraded"]),
    queue: z.literal("llm-processing"),
    timestamp: z.iso.datetime(),
    checks: z.record(z.string(), z.string()),
  })
  .meta({ id: "Health" });

const healthRoute = createRoute({
  method: "get",
  path: "/health",
  operationId: "readHealth",
  tags: ["service"],
  summary: "Whether the service is well",
  security: [],
  responses: {
    200: { description: "Health", content: { "application/json": { schema: Health } } },
  },
});

export const health = new OpenAPIHono<App>();

/** Whether a queue answers, and whether anybody could get in: what an operator can get wrong. */
health.openapi(healthRoute, async (c) => {
  const queue = await c.env.LANE_NORMAL.metrics().then(
    () => "ok",
    () => "unreachable",
  );
  const { AUTH_MODE, ADMIN_API_KEY } = c.get("config");
  const locked = AUTH_MODE === "keys" && ADMIN_API_KEY === undefined;
  const checks = { queue, auth: locked ? "ADMIN_API_KEY is not set: nobody can get in" : "ok" };
  const well = Object.values(checks).every((check) => check === "ok");
  const status = well ? ("ok" as const) : ("degraded" as const);
  const timestamp = new Date().toISOString();
  return c.json({ status, queue: "llm-processing" as const, timestamp, checks }, 200);
});

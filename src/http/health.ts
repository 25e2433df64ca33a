import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import { OK } from "../domain/health.ts";
import { iso } from "../domain/instant.ts";
import { checkHealth } from "../health.ts";
import { Health } from "../schema/health.ts";
import type { App } from "./context.ts";

const healthRoute = createRoute({
  method: "get",
  path: "/health",
  operationId: "readHealth",
  tags: ["service"],
  summary: "Whether the service is well",
  description:
    "Always 200: a service that is degraded still takes jobs, and one taken out of rotation for a backlog would only lose the means to work it off. Read `status`.",
  security: [],
  responses: {
    200: { description: "Health", content: { "application/json": { schema: Health } } },
  },
});

export const health = new OpenAPIHono<App>();

health.openapi(healthRoute, async (c) => {
  const checks = await checkHealth(c.env, c.get("config"));
  const well = Object.values(checks).every((check) => check === OK);
  const body: Health = {
    status: well ? "ok" : "degraded",
    queue: "llm-processing",
    timestamp: iso(Date.now()),
    checks,
  };
  return c.json(body, 200);
});

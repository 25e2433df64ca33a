import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { metricsOf } from "../domain/metrics.ts";
import { CONTENT_TYPE, render } from "../domain/openmetrics.ts";
import { checkReadings, readAll } from "../health.ts";
import { readTotal } from "../ledgers/stats-stub.ts";
import { checkSettings } from "../settings/setup.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems } from "./document.ts";

const metricsRoute = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "readMetrics",
  tags: ["admin"],
  summary: "The metrics, for Prometheus",
  description:
    "OpenMetrics 1.0, whatever the request accepts. Counters grow for as long as the deployment lives. What is not known is left out: all counters, if some of them could not be read.",
  ...needs("admin"),
  responses: {
    200: {
      description: "The metrics",
      content: {
        "application/openmetrics-text": {
          schema: z.string().meta({
            example:
              "# TYPE afterword_dead_letters gauge\n# HELP afterword_dead_letters Dead letters that are open.\nafterword_dead_letters 0\n# EOF\n",
          }),
        },
      },
    },
    ...problems(401, 403, 500),
  },
});

export const metrics = new OpenAPIHono<App>();

metrics.openapi(metricsRoute, async (c) => {
  const config = c.get("config");
  const [stats, readings] = await Promise.all([readTotal(c.env), readAll(c.env, config)]);
  const checks = { ...checkReadings(readings, config), ...checkSettings(config) };
  const families = metricsOf({ ...readings, checks, stats }, Date.now());
  return c.body(render(families), 200, { "content-type": CONTENT_TYPE });
});

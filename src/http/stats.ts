import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { statsView } from "../domain/stats-view.ts";
import { windowOf } from "../domain/window.ts";
import { readAll } from "../health.ts";
import { readStats } from "../ledgers/stats-stub.ts";
import { Stats, StatsWindowSeconds } from "../schema/stats.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";

const statsRoute = createRoute({
  method: "get",
  path: "/api/admin/stats",
  operationId: "readStats",
  tags: ["admin"],
  summary: "How the service is doing",
  description:
    "Queues as they are now; jobs, waits, latencies and cost over the window. For people and alarms, not for bills: a crash may lose the last seconds of a count.",
  ...needs("admin"),
  request: { query: z.strictObject({ window_seconds: StatsWindowSeconds }) },
  responses: {
    200: { description: "The statistics", content: { "application/json": { schema: Stats } } },
    ...problems(400, 401, 403, 500),
  },
});

export const stats = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

/** What cannot be asked is told as unknown: the statistics are needed most when something is broken. */
stats.openapi(statsRoute, async (c) => {
  const windowSeconds = c.req.valid("query").window_seconds;
  const window = windowOf(windowSeconds, Date.now());
  const [counted, readings] = await Promise.all([
    readStats(c.env, window),
    readAll(c.env, c.get("config")),
  ]);
  const known = { windowSeconds, since: window.since, ...counted, ...readings };
  return c.json(statsView(known, Date.now()), 200);
});

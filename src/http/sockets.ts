import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { authenticate } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError, jobGone, jobNotFound } from "./errors.ts";
import { eventCursorOf } from "./events.ts";
import { JobParams, jobStub } from "./jobs.ts";

const socketRoute = createRoute({
  method: "get",
  path: "/ws/jobs/{id}",
  operationId: "followJobBySocket",
  tags: ["events"],
  summary: "Follow a job by WebSocket",
  description:
    "Frames are the events of the log, their type prefixed with `job_`. Text `ping` answers `pong`. Closes 1000 after the terminal event.",
  middleware: [authenticate] as const,
  request: { params: JobParams, query: z.object({ after: z.string().optional() }) },
  responses: {
    101: { description: "Switching protocols" },
    ...problems(401, 404, 410, 426, 500, 503),
  },
});

export const sockets = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

sockets.openapi(socketRoute, async (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    const headers = { upgrade: "websocket" };
    throw new ApiError("upgrade-required", "This is a WebSocket", { headers });
  }
  const stub = await jobStub(c, c.req.valid("param").id);
  const after = eventCursorOf(c.req.query("after")) ?? 0;
  const answer = await stub.fetch(
    new Request(`https://job/?format=ws&after=${after}`, { headers: { upgrade: "websocket" } }),
  );
  if (answer.status === 404) throw jobNotFound();
  if (answer.status === 410) throw jobGone();
  return answer;
});

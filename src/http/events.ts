import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { Connected, JobEvent } from "../schema/event.ts";
import { authenticate } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { EventStream } from "./event-stream.ts";
import { found, JobParams, jobStub } from "./jobs.ts";

const after = z
  .string()
  .optional()
  .meta({ description: "The `seq` after which to start. Default: the beginning.", example: "12" });

/** By name: the generator would melt a union of unions into one list. */
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const eventsRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}/events",
  operationId: "followJob",
  tags: ["events"],
  summary: "Follow a job by Server-Sent Events",
  description:
    "Starts with an unnumbered `connected` frame, then the log from the cursor, then what comes, until the job has ended. 204 at or past the end.",
  middleware: [authenticate] as const,
  request: {
    params: JobParams,
    query: z.object({ after }),
    headers: z.object({ "last-event-id": after }),
  },
  responses: {
    200: {
      description: "One `data:` line of JSON per frame.",
      content: { "text/event-stream": { schema: { oneOf: [ref("Connected"), ref("JobEvent")] } } },
    },
    204: { description: "Nothing more will ever come" },
    ...problems(401, 404, 410, 500, 503),
  },
});

export const events = new OpenAPIHono<App>({ defaultHook: refuseInvalid });
events.openAPIRegistry.register("Connected", Connected);
events.openAPIRegistry.register("JobEvent", JobEvent);

events.openapi(eventsRoute, async (c) => {
  const cursor =
    eventCursorOf(c.req.header("last-event-id")) ?? eventCursorOf(c.req.query("after")) ?? 0;
  const { id } = c.req.valid("param");
  const job = () => jobStub(c, id);
  const first = found(await (await job()).log(cursor));
  if (first.ended && cursor >= first.lastSeq) return c.body(null, 204);
  const stream = new EventStream(job, first, cursor, c.get("config"));
  // Not under waitUntil, which ends 30 s after an answer: the body being streamed keeps this alive.
  void stream.run(c.req.raw.signal);
  return new Response(stream.body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
});

/** A cursor is a whole number, or it is not there. */
export function eventCursorOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

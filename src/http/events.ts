import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import type { LogPage } from "../job/job-rpc.ts";
import { Connected, EventPage, JobEvent } from "../schema/event.ts";
import { needsToFollow } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { found, JobParams, jobStub } from "./jobs.ts";
import { answerLog, LogRequest } from "./log-answer.ts";

/** By name: the generator would melt a union of unions into one list. */
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const eventsRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}/events",
  operationId: "followJob",
  tags: ["events"],
  summary: "Follow a job by Server-Sent Events",
  description:
    "Starts with an unnumbered `connected` frame, then the log from the cursor, then what comes, until the job has ended. 204 at or past the end. With `Accept: application/json` it is a page of the log instead.",
  ...needsToFollow("jobs:read"),
  request: { params: JobParams, ...LogRequest },
  responses: {
    200: {
      description: "One `data:` line of JSON per frame; or a page.",
      content: {
        "text/event-stream": { schema: { oneOf: [ref("Connected"), ref("JobEvent")] } },
        "application/json": { schema: EventPage },
      },
    },
    204: { description: "Nothing more will ever come" },
    ...problems(400, 401, 403, 404, 410, 500, 503),
  },
});

export const events = new OpenAPIHono<App>({ defaultHook: refuseInvalid });
events.openAPIRegistry.register("Connected", Connected);
events.openAPIRegistry.register("JobEvent", JobEvent);

events.openapi(eventsRoute, (c) => {
  const { id } = c.req.valid("param");
  return answerLog(c, { log: () => jobStub(c, id), found, standOf });
});

function standOf({ jobId: job_id, status }: LogPage): Omit<Connected, "type" | "last_seq"> {
  return { job_id, status };
}

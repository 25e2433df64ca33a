import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import type { OwnJob } from "../job/job-rpc.ts";
import { Connected, EventPage, JobEvent } from "../schema/event.ts";
import { Allowance } from "./allowance.ts";
import { expiryOf, needsToFollow, whileLetIn } from "./auth.ts";
import { somethingNew } from "./changes.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { joined, pageJson } from "./event-json.ts";
import { EventStream } from "./event-stream.ts";
import { follow } from "./follow.ts";
import { found, JobParams, jobStub } from "./jobs.ts";
import { pageAfter } from "./log-page.ts";
import { MAX_WAIT_SECONDS, WaitQuery } from "./waiting.ts";

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
    "Starts with an unnumbered `connected` frame, then the log from the cursor, then what comes, until the job has ended. 204 at or past the end. With `Accept: application/json` it is a page of the log instead.",
  ...needsToFollow(),
  request: {
    params: JobParams,
    query: z.object({
      after,
      wait: z.string().optional().meta({
        description: "For pages: seconds to hold an answer that would be empty, up to 60.",
      }),
      token: z.string().optional().meta({
        description: "A subscribe token, where no Authorization can be sent.",
      }),
    }),
    headers: z.object({ "last-event-id": after }),
  },
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

/** Of a page, how much is handed on at a time. */
const PIECE_CHARS = 65_536;

export const events = new OpenAPIHono<App>({ defaultHook: refuseInvalid });
events.openAPIRegistry.register("Connected", Connected);
events.openAPIRegistry.register("JobEvent", JobEvent);

events.openapi(eventsRoute, async (c) => {
  const after =
    eventCursorOf(c.req.header("last-event-id")) ?? eventCursorOf(c.req.query("after")) ?? 0;
  const { id } = c.req.valid("param");
  const job = () => jobStub(c, id);
  return wantsPages(c.req.header("accept")) ? eventPage(c, job, after) : eventStream(c, job, after);
});

async function eventStream(c: Context<App>, job: () => Promise<OwnJob>, after: number) {
  const first = found(await (await job()).log(after, true));
  if (first.ended && after >= first.lastSeq) return c.body(null, 204);
  const config = c.get("config");
  const stream = new EventStream(config);
  const allowance = new Allowance(config.SSE_MAX_BACKLOG_BYTES);
  const expired = expiryOf(c, stream.gone);
  const gone = AbortSignal.any([stream.gone, expired]);
  const log = follow({ job, first, after, allowance }, gone);
  const textAfter = (cursor: number) => {
    gone.throwIfAborted();
    return pageAfter(job, cursor, gone);
  };
  // Not under waitUntil, which ends 30 s after an answer: the body being streamed keeps this alive.
  void stream.run(first, log, textAfter, { left: c.req.raw.signal, expired });
  return new Response(stream.body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
}

/** The same log for those who poll it: a page of events, held until there is one if asked to. */
async function eventPage(c: Context<App>, job: () => Promise<OwnJob>, after: number) {
  const until = Date.now() + waitOf(c.req.query("wait")) * 1_000;
  const page = await whileLetIn(c, async (gone) => {
    let page = found(await (await job()).log(after, true));
    while (page.events.length === 0 && !page.ended && Date.now() < until && !gone.aborted) {
      await somethingNew({ job, after, awaits: "event", until }, gone);
      page = found(await (await job()).log(after, true));
    }
    return page;
  });
  if (!page.ended) c.header("retry-after", "1");
  const pieces = pageJson(page, (cursor) => pageAfter(job, cursor, c.req.raw.signal));
  return c.body(streamOf(pieces), 200, { "content-type": "application/json" });
}

/** Text that is made as it is taken. */
function streamOf(pieces: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const text = joined(pieces, PIECE_CHARS);
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await text.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: async () => void (await text.return(undefined)),
  });
}

/** Whether JSON is asked for and no stream: an EventSource asks for a stream, a client that says nothing gets one. */
function wantsPages(accept = ""): boolean {
  return accept.includes("application/json") && !accept.includes("text/event-stream");
}

function waitOf(text: string | undefined): number {
  const wait = WaitQuery.safeParse(text);
  if (!wait.success)
    throw new ApiError("invalid-request", `wait: 0 to ${MAX_WAIT_SECONDS} seconds`);
  return wait.data ?? 0;
}

/** A cursor is a whole number, or it is not there. */
export function eventCursorOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

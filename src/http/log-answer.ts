import { z } from "@hono/zod-openapi";
import type { Context } from "hono";

import type { FollowedLog, LogRun } from "../followed.ts";
import type { Found } from "../job/job-rpc.ts";
import { Allowance } from "./allowance.ts";
import { expiryOf, whileLetIn } from "./auth.ts";
import { somethingNew } from "./changes.ts";
import type { App } from "./context.ts";
import { ApiError } from "./errors.ts";
import { joined, pageJson } from "./event-json.ts";
import { EventStream } from "./event-stream.ts";
import { follow } from "./follow.ts";
import { pageAfter } from "./log-page.ts";
import { MAX_WAIT_SECONDS, WaitQuery } from "./waiting.ts";

/** A log that is asked for: a job's, or a batch's. */
export type AskedLog<R extends LogRun> = {
  /** A fresh stub at every call: one that has thrown is broken for good. */
  log: () => Promise<FollowedLog<R>>;
  /** The run, or the refusal. */
  found: (said: Found<R>) => R;
  /** Where the log stands: the fields of `connected`, and of a page, but for what all logs have. */
  standOf: (run: R) => object;
};

const after = z
  .string()
  .optional()
  .meta({ description: "The `seq` after which to start. Default: the beginning.", example: "12" });

/** How a log is asked for. */
export const LogRequest = {
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
};

/** A cursor is a whole number, or it is not there. */
export function eventCursorOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Of a page, how much is handed on at a time. */
const PIECE_CHARS = 65_536;

/** The log after the request's cursor: as a stream of events, or as a page where JSON is asked for. */
export async function answerLog<R extends LogRun>(
  c: Context<App>,
  asked: AskedLog<R>,
): Promise<Response> {
  const after =
    eventCursorOf(c.req.header("last-event-id")) ?? eventCursorOf(c.req.query("after")) ?? 0;
  return wantsPages(c.req.header("accept")) ? page(c, asked, after) : stream(c, asked, after);
}

async function stream<R extends LogRun>(
  c: Context<App>,
  { log, found, standOf }: AskedLog<R>,
  after: number,
): Promise<Response> {
  const first = found(await (await log()).log(after, true));
  if (first.ended && after >= first.lastSeq) return c.body(null, 204);
  const config = c.get("config");
  const events = new EventStream(config);
  const allowance = new Allowance(config.SSE_MAX_BACKLOG_BYTES);
  const expired = expiryOf(c, events.gone);
  const gone = AbortSignal.any([events.gone, expired]);
  const followed = follow({ log, first, after, allowance }, gone);
  const textAfter = (cursor: number) => {
    gone.throwIfAborted();
    return pageAfter(log, cursor, gone);
  };
  // Not under waitUntil, which ends 30 s after an answer: the body being streamed keeps this alive.
  void events.run(standIn(first, standOf), followed, textAfter, {
    left: c.req.raw.signal,
    expired,
  });
  return new Response(events.body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
}

/** The same log for those who poll it: a page of events, held until there is one if asked to. */
async function page<R extends LogRun>(
  c: Context<App>,
  { log, found, standOf }: AskedLog<R>,
  after: number,
): Promise<Response> {
  const until = Date.now() + waitOf(c.req.query("wait")) * 1_000;
  const run = await whileLetIn(c, async (gone) => {
    let run = found(await (await log()).log(after, true));
    while (run.events.length === 0 && !run.ended && Date.now() < until && !gone.aborted) {
      await somethingNew({ log, after, awaits: "event", until }, gone);
      run = found(await (await log()).log(after, true));
    }
    return run;
  });
  if (!run.ended) c.header("retry-after", "1");
  const pieces = pageJson(standIn(run, standOf), run, (cursor) =>
    pageAfter(log, cursor, c.req.raw.signal),
  );
  return c.body(streamOf(pieces), 200, { "content-type": "application/json" });
}

function standIn<R extends LogRun>(run: R, standOf: AskedLog<R>["standOf"]): object {
  return { ...standOf(run), last_seq: run.lastSeq };
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

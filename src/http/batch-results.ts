import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { readAtOnce } from "../domain/read-at-once.ts";
import type { Entry } from "../ledgers/batch-rpc.ts";
import { pause } from "../pause.ts";
import { BatchResult } from "../schema/batch.ts";
import { expiryOf, needs } from "./auth.ts";
import { BatchParams, foundBatch, ownBatch } from "./batch-reads.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { jobStub } from "./jobs.ts";
import { reached } from "./log-page.ts";

/** As a string of its own: by its name the framework would take a body of lines for one of JSON. */
const NDJSON: string = "application/x-ndjson";

/** Items asked for at once. */
const PAGE = 100;

/** How often it is looked whether the item has ended that is waited for, in milliseconds. */
const LOOK_AGAIN_MS = 1_000;

const resultsRoute = createRoute({
  method: "get",
  path: "/api/batches/{id}/results",
  operationId: "listBatchResults",
  tags: ["batches"],
  summary: "The results of a batch",
  description:
    "One line of JSON for each item that has ended, in the items' order; while the batch runs, those that have ended so far. With `follow=true` the answer waits for each item in its turn and ends with the last.",
  ...needs("batches"),
  request: {
    params: BatchParams,
    query: z.object({
      follow: z.enum(["true", "false"]).optional().meta({ description: "Default: false." }),
      after: z.coerce.number<string>().int().min(0).optional().meta({
        description: "The `index` after which to start. Default: from the first item on.",
        example: 41,
      }),
    }),
  },
  responses: {
    200: {
      description: "Newline-delimited JSON",
      content: { [NDJSON]: { schema: BatchResult } },
    },
    ...problems(400, 401, 403, 404, 410, 500, 503),
  },
});

export const batchResults = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

batchResults.openapi(resultsRoute, async (c) => {
  const { id } = c.req.valid("param");
  const { follow, after = -1 } = c.req.valid("query");
  const tenant = c.get("principal").tenant;
  // Who may not know of it hears so before the answer begins.
  foundBatch(await (await ownBatch(c, id)).read(tenant));
  const over = new AbortController();
  const gone = AbortSignal.any([c.req.raw.signal, expiryOf(c, over.signal), over.signal]);
  const lines = resultsOf(c, { id, after, follows: follow === "true" }, gone);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await lines.next().catch((error: unknown) => {
        over.abort();
        throw error;
      });
      if (!done) return controller.enqueue(encoder.encode(value));
      over.abort();
      // What is cut short must not pass for whole.
      if (value) controller.close();
      else controller.error(new Error("The reader may no longer know"));
    },
    cancel: () => over.abort(),
  });
  return new Response(body, { headers: { "content-type": NDJSON } });
});

/** Lines in the order of the items. What is read of them is what fits side by side, at the pace of whoever takes it. True: that was all. */
async function* resultsOf(
  c: Context<App>,
  { id, after, follows }: { id: string; after: number; follows: boolean },
  gone: AbortSignal,
): AsyncGenerator<string, boolean> {
  const tenant = c.get("principal").tenant;
  let from = after + 1;
  let longest: number | null = null;
  while (!gone.aborted) {
    const page = foundBatch(
      await reached(async () => (await ownBatch(c, id)).entries(from, PAGE, tenant), gone),
    );
    const first = page.entries.findIndex(({ status }) => status === null);
    const ready =
      follows && first !== -1
        ? page.entries.slice(0, first)
        : page.entries.filter(({ status }) => status !== null);
    for (let at = 0, count = 0; at < ready.length; at += count) {
      count = readAtOnce(longest);
      const some = ready.slice(at, at + count);
      const results = await Promise.all(some.map((entry) => resultOf(c, entry, gone)));
      for (const result of results) {
        const line = `${JSON.stringify(result)}\n`;
        longest = Math.max(longest ?? 0, line.length);
        yield line;
      }
    }
    const waits = follows && first !== -1;
    from += waits ? ready.length : page.entries.length;
    if (!waits && !page.more) return true;
    if (waits && ready.length === 0) await pause(LOOK_AGAIN_MS, gone);
  }
  return false;
}

async function resultOf(c: Context<App>, entry: Entry, gone: AbortSignal): Promise<BatchResult> {
  const { status, error, ...item } = entry;
  if (status === null) throw new Error("an item has not ended");
  if (error !== undefined) return { ...item, status, error, error_code: "internal" };
  const found = await reached(async () => (await jobStub(c, item.job_id)).read(false), gone);
  if (found.type !== "found") {
    const why = status === "cancelled" ? "Cancelled" : "Its job has been deleted";
    return { ...item, status, error: why };
  }
  const { result, error: failure, error_code, reason } = found.value;
  if (result !== undefined) return { ...item, status, result };
  const why = failure ?? reason;
  return {
    ...item,
    status,
    ...(why === undefined ? {} : { error: why }),
    ...(error_code === undefined ? {} : { error_code }),
  };
}

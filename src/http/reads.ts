import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { pollAfterSeconds } from "../domain/estimate.ts";
import { JobView } from "../schema/job.ts";
import { needs, whileLetIn } from "./auth.ts";
import { isOpen, somethingNew } from "./changes.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid, RetryAfter } from "./document.ts";
import { etagOf, namesVersion } from "./etag.ts";
import { found, JobParams, jobStub } from "./jobs.ts";
import { foreseenJob } from "./lines.ts";
import { WaitQuery } from "./waiting.ts";

const ETag = { ETag: { schema: { type: "string" as const }, description: "The job's version." } };

const readRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}",
  operationId: "readJob",
  tags: ["jobs"],
  summary: "Read a job",
  description:
    "With `wait` the answer is held until the job is of another version than the one `If-None-Match` names, or than it was when asked. Text that grows is no new version, unless it is asked for.",
  ...needs("jobs:read"),
  request: {
    params: JobParams,
    headers: z.object({ "if-none-match": z.string().optional() }),
    query: z.object({
      include: z.literal("partial_output").optional().meta({
        description: "Shows the text so far of a job that is active.",
      }),
      wait: WaitQuery,
    }),
  },
  responses: {
    200: {
      description: "The job",
      headers: { ...RetryAfter, ...ETag },
      content: { "application/json": { schema: JobView } },
    },
    304: { description: "As it was", headers: { ...RetryAfter, ...ETag } },
    ...problems(400, 401, 403, 404, 410, 500, 503),
  },
});

export const reads = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

reads.openapi(readRoute, async (c) => {
  const { include, wait = 0 } = c.req.valid("query");
  const { "if-none-match": known } = c.req.valid("header");
  const withText = include === "partial_output";
  const job = () => jobStub(c, c.req.valid("param").id);
  const until = Date.now() + wait * 1_000;
  const read = async () => {
    const view = found(await foreseenJob(c, await (await job()).read(withText)));
    return { view, etag: await etagOf(view) };
  };
  const awaits = withText ? "event" : "change";
  const { view, etag } = await whileLetIn(c, async (gone) => {
    let { view, etag } = await read();
    const seen = known ?? etag;
    while (isOpen(view) && namesVersion(seen, etag) && Date.now() < until && !gone.aborted) {
      await somethingNew({ job, after: view.last_seq, awaits, until }, gone);
      ({ view, etag } = await read());
    }
    return { view, etag };
  });
  c.header("etag", etag);
  if (isOpen(view)) c.header("retry-after", String(pollAfterSeconds(ageOf(view))));
  return namesVersion(known, etag) ? c.body(null, 304) : c.json(view, 200);
});

function ageOf({ submitted_at }: JobView): number {
  return Date.now() - Date.parse(submitted_at);
}

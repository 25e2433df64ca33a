import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";

import {
  BatchCancelledEvent,
  BatchCompletedEvent,
  JobCancelledEvent,
  JobCompletedEvent,
  JobFailedEvent,
  JobProgressEvent,
  JobStartedEvent,
} from "../schema/webhook-event.ts";
import type { App } from "./context.ts";

const NOTICES = "Sent only to jobs that ask for it in `webhook_events`.";

const EVENTS = [
  { body: JobStartedEvent, summary: "A model was called", description: NOTICES },
  {
    body: JobProgressEvent,
    summary: "A job has come further",
    description: `${NOTICES} At most every 500 ms; what a later event has overtaken is not sent.`,
  },
  {
    body: JobCompletedEvent,
    summary: "A job has its result",
    description: "Never before the job itself says so.",
  },
  {
    body: JobFailedEvent,
    summary: "A job was given up",
    description: "`error` is for people, `error_code` for programs.",
  },
  {
    body: JobCancelledEvent,
    summary: "A job was cancelled",
    description: "Whoever cancelled it: `reason` says why.",
  },
  {
    body: BatchCompletedEvent,
    summary: "All items of a batch have ended",
    description:
      "Well or not: `data.status_counts` says how many. Comes again, under another id, where failed items were tried again.",
  },
  {
    body: BatchCancelledEvent,
    summary: "A batch was cancelled",
    description: "Once its last item has ended.",
  },
];

/** Source: standard-webhooks, spec/standard-webhooks.md; the last two are for receivers that know only those. */
const SignedHeaders = z.object({
  "webhook-id": z.string().meta({
    description: "The event's: the same on every attempt. Drop those that were seen before.",
  }),
  "webhook-timestamp": z.string().meta({ description: "This attempt's, in seconds." }),
  "webhook-signature": z.string().meta({
    description: "`v1,<base64>` over `<id>.<timestamp>.<body>`; while secrets change, several.",
  }),
  "x-webhook-timestamp": z.string().meta({ description: "This attempt's, in milliseconds." }),
  "x-webhook-signature": z.string().meta({ description: "HMAC-SHA256 of the body, in hex." }),
});

const ANSWERS = {
  "2XX": { description: "Taken; it is not sent again" },
  410: { description: "The receiver wants nothing more of this job or batch" },
  "4XX": { description: "Sent again later; 429 may say when (`Retry-After`)" },
  "5XX": { description: "Sent again later; 503 may say when (`Retry-After`)" },
};

/** Writes down in the app's document what receivers are sent. */
export function documentWebhooks(app: OpenAPIHono<App>): void {
  for (const { body, summary, description } of EVENTS) {
    const name = body.shape.type.value;
    app.openAPIRegistry.registerWebhook({
      method: "post",
      path: name,
      operationId: name.replace(/\.(\w)/, (_, letter: string) => letter.toUpperCase()),
      tags: ["webhooks"],
      summary,
      description,
      // It is the receiver who is asked: the signature says by whom.
      security: [],
      request: {
        headers: SignedHeaders,
        body: { required: true, content: { "application/json": { schema: body } } },
      },
      responses: ANSWERS,
    });
  }
}

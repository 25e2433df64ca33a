import { verifyWebhook, WebhookVerificationError } from "afterword/webhooks";
import { Hono } from "hono";
import { env } from "hono/adapter";

/** Yours is a table keyed by webhook-id: a repeat changes nothing, and what was answered for is not lost. */
const inbox = new Map();

const app = new Hono();

app.post("/webhooks", async (context) => {
  try {
    const { WEBHOOK_SECRET = "" } = env(context);
    const { headers } = context.req.raw;
    // The raw bytes: what context.req.json() gives cannot be verified any more.
    const event = await verifyWebhook(await context.req.arrayBuffer(), headers, WEBHOOK_SECRET);
    const id = headers.get("webhook-id");
    if (!inbox.has(id)) queueMicrotask(() => act(event));
    inbox.set(id, event);
    return context.body(null, 204);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return context.json({ error: error.code }, 400);
  }
});

/** Not awaited: the sender waits ten seconds and no longer. On Workers work that lasts goes to waitUntil or a queue. */
function act(event) {
  if (event.type === "job.completed") console.log(event.job_id, event.result ?? event.result_url);
}

/** A Worker as it is; on Node see hono-node.js. */
export default app;

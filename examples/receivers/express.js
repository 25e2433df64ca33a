import { verifyWebhook, WebhookVerificationError } from "afterword/webhooks";
import express from "express";

const { PORT = "3000", WEBHOOK_SECRET = "" } = process.env;

/** Yours is a table keyed by webhook-id: a repeat changes nothing, and what was answered for is not lost. */
const inbox = new Map();

const app = express();

// The raw bytes: after express.json() there would be nothing left to verify. No such parser may run before.
app.post("/webhooks", express.raw({ type: "*/*" }), async (request, response) => {
  try {
    const event = await verifyWebhook(request.body, request.headers, WEBHOOK_SECRET);
    const id = request.get("webhook-id");
    const isRepeat = inbox.has(id);
    inbox.set(id, event);
    response.sendStatus(204);
    if (!isRepeat) act(event);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    response.status(400).json({ error: error.code });
  }
});

/** After the answer: the sender waits ten seconds and no longer. */
function act(event) {
  if (event.type === "job.completed") console.log(event.job_id, event.result ?? event.result_url);
}

app.listen(Number(PORT), () => console.log(`Listening on ${PORT}`));

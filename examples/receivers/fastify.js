import { verifyWebhook, WebhookVerificationError } from "afterword/webhooks";
import Fastify from "fastify";

const { PORT = "3000", WEBHOOK_SECRET = "" } = process.env;

/** Yours is a table keyed by webhook-id: a repeat changes nothing, and what was answered for is not lost. */
const inbox = new Map();

const app = Fastify();

// The raw bytes instead of Fastify's own JSON. With other routes in the same app, keep this and the route in a plugin.
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
  done(null, body);
});

app.post("/webhooks", async (request, reply) => {
  try {
    const event = await verifyWebhook(request.body, request.headers, WEBHOOK_SECRET);
    const id = request.headers["webhook-id"];
    const isRepeat = inbox.has(id);
    inbox.set(id, event);
    await reply.code(204).send();
    if (!isRepeat) act(event);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return reply.code(400).send({ error: error.code });
  }
});

/** After the answer: the sender waits ten seconds and no longer. */
function act(event) {
  if (event.type === "job.completed") console.log(event.job_id, event.result ?? event.result_url);
}

await app.listen({ port: Number(PORT) });
console.log(`Listening on ${PORT}`);

import OpenAI from "openai";

// No call is made: the key may be anything. The types it gives are those of OpenAI's own events.
const { webhooks } = new OpenAI({ apiKey: "none", webhookSecret: process.env.WEBHOOK_SECRET });

/** `rawBody`: text. `headers`: a plain object or a Headers. */
export function verify(rawBody, headers) {
  return webhooks.unwrap(rawBody, headers);
}

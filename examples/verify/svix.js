import { Webhook } from "svix";

/** `headers`: a plain object, as a Node request's. */
export function verify(rawBody, headers) {
  new Webhook(process.env.WEBHOOK_SECRET ?? "").verify(rawBody, headers);
  return JSON.parse(rawBody);
}

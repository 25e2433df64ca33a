import { Webhook } from "standardwebhooks";

/** `headers`: a plain object, as a Node request's; of a Headers make one with Object.fromEntries. */
export function verify(rawBody, headers) {
  return new Webhook(process.env.WEBHOOK_SECRET ?? "").verify(rawBody, headers);
}

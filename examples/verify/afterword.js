import { verifyWebhook } from "afterword/webhooks";

/** `rawBody`: text or bytes. `headers`: of a Node request, or a Headers. */
export function verify(rawBody, headers) {
  return verifyWebhook(rawBody, headers, process.env.WEBHOOK_SECRET ?? "");
}

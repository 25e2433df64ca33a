import { Webhook } from "standardwebhooks";

/** Of 32 bytes and of 24, the least the spec allows. */
export const SECRET = `whsec_${btoa("0123456789abcdefghijklmnopqrstuv")}`;
export const OLD_SECRET = `whsec_${btoa("vutsrqponmlkjihgfedcba98")}`;

export type SignedHeaders = Record<
  "webhook-id" | "webhook-timestamp" | "webhook-signature",
  string
>;
export type Signed = { headers: SignedHeaders; body: string };

/** A delivery as a sender signs it at `at` (epoch milliseconds), by each of its secrets. */
export function signed(
  body: string,
  { id = "msg_1", at = Date.now(), secrets = [SECRET] } = {},
): Signed {
  const time = new Date(at);
  const signatures = secrets.map((secret) => new Webhook(secret).sign(id, time, body));
  return {
    body,
    headers: {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at / 1_000)),
      "webhook-signature": signatures.join(" "),
    },
  };
}

/** What a finished job's delivery says, in brief; its text is no plain ASCII. */
export function completedBody(jobId = "test-123"): string {
  const result = { content: "Größer als 5 €\u2028 😀", model: "gpt-4o", finish_reason: "stop" };
  const data = { job_id: jobId, status: "completed", result };
  const type = "job.completed";
  const timestamp = "2026-11-01T12:00:08.164Z";
  return JSON.stringify({ type, timestamp, data, event: type, job_id: jobId, result });
}

import { createHmac } from "node:crypto";
import { expect } from "vitest";

import { verifyWebhook } from "../../lib/webhooks.ts";
import type { Received } from "./receiver.ts";
import { verifyByAll } from "./verifiers.ts";

/** `msg_`, 128 random bits and the event's number: no dot, for it separates what is signed. */
const ID = /^msg_[A-Za-z0-9_-]{22}_\d+$/;

/** A delivery of a job's event is what every receiver's own code takes for ours. `secret`: the newest. */
export async function expectGenuine(received: Received, secret: string): Promise<void> {
  const { method, headers, body, text } = received;
  expect(method).toBe("POST");
  expect(headers).toMatchObject({
    "content-type": "application/json",
    "user-agent": "Afterword",
    "webhook-id": expect.stringMatching(ID),
    "webhook-timestamp": expect.stringMatching(/^\d{10}$/),
    "x-webhook-timestamp": expect.stringMatching(/^\d{13}$/),
  });
  await verifyByAll(received, secret);
  expect(await verifyWebhook(body, headers, secret)).toEqual(JSON.parse(text));
  // The founding article's receiver: the secret as text, the body alone, the time in milliseconds.
  const digest = createHmac("sha256", secret).update(body).digest("hex");
  expect(headers["x-webhook-signature"]).toBe(digest);
  expect(headers["x-webhook-timestamp"]?.slice(0, 10)).toBe(headers["webhook-timestamp"]);
}

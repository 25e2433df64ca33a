import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { consume } from "../../src/consumer.ts";
import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { objectName } from "../../src/ids.ts";
import { Canaries } from "../support/canaries.ts";
import {
  deadLetter,
  holdClock,
  job,
  leased,
  logged,
  OUTAGE,
  partOf,
  queues,
  REPORT,
  ANSWER,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

/** What must not ride a queue (invariant 9), each where it belongs. */
const canaries = new Canaries();
const prompt = canaries.plant("prompt");
const system = canaries.plant("system message");
const result = canaries.plant("result");
const toolArguments = canaries.plant("tool arguments");
const header = canaries.plant("callback header", { plain: true });
const path = canaries.plant("path of the webhook", { plain: true });
const query = canaries.plant("query of the webhook", { plain: true });
const metadata = canaries.plant("metadata");
const user = canaries.plant("user");
const key = canaries.plant("idempotency key", { plain: true });
const receiverText = canaries.plant("receiver's answer");
const foreignText = canaries.plant("message of another");

/** Submits at the front door, and says the name of the job's object. `at`: which job, for a key of its own. */
async function submitted(at: number): Promise<string> {
  const body = JSON.stringify({
    messages: [
      { role: "system", content: system },
      { role: "user", content: prompt },
    ],
    model: "simulator/standard",
    user,
    metadata: { note: metadata },
    webhook_url: `https://hooks.example.com/${path}?token=${query}`,
    callback_headers: { authorization: `Bearer ${header}` },
  });
  // No id may have a slash, so the id is made of the key, and the key goes nowhere.
  const headers = { "content-type": "application/json", "idempotency-key": `${key}/${at}` };
  const url = "https://afterword.example/api/jobs";
  const response = await exports.default.fetch(new Request(url, { method: "POST", headers, body }));
  expect([response.status, response.ok ? "" : await response.text()]).toEqual([202, ""]);
  const { job_id } = await response.json<{ job_id: string }>();
  return objectName("dev", job_id);
}

async function answered(name: string): Promise<void> {
  const { token } = await leased(name);
  const toolCall = { id: "call_1", type: "function" as const };
  const call = { ...toolCall, function: { name: "look_up", arguments: toolArguments } };
  await job(name).append(token, partOf(0, result));
  await job(name).complete(token, partOf(1, ""), { ...ANSWER, tool_calls: [call] }, REPORT);
}

const FAILED: DeliveryOutcome = {
  type: "failed",
  status: 500,
  error: "HTTP 500",
  answer: receiverText,
  latencyMs: 30,
  retryAfterMs: null,
};

/** Lets every attempt at the job's delivery fail, until it is given up. */
async function refuseDelivery(name: string): Promise<void> {
  for (let made = 0; made < 12; made++) {
    const pass = `pass-${made}`;
    let next = await job(name).nextDelivery(pass, 10_000);
    while (next.type === "none") {
      await wakeWhenDue(name);
      next = await job(name).nextDelivery(pass, 10_000);
    }
    if (next.type === "owed") await job(name).settleDelivery(pass, next.deliveryId, FAILED);
  }
}

describe("a queue message", () => {
  it("holds nothing of the job that it is about, on any queue, in its whole life", async () => {
    const good = await submitted(1);
    await answered(good);
    const ends = [await view(good)];
    await refuseDelivery(good);
    const bad = await submitted(2);
    const { token } = await leased(bad);
    await job(bad).append(token, partOf(0, result));
    await job(bad).fail(token, { ...OUTAGE, remedy: "give_up" }, REPORT);
    await deadLetter(bad);
    ends.push(await view(bad));
    const stopped = await submitted(3);
    await job(stopped).cancel("enough");
    await job(stopped).delete();
    expect(ends.map(({ status }) => status)).toEqual(["completed", "failed"]);
    expect(canaries.in(JSON.stringify(ends[0]))).toContain("result");
    const messages = queues.sent.map((message) => JSON.stringify(message));
    const told = new Set(queues.sent.map(({ to }) => to));
    expect(told).toEqual(
      new Set(["LANE_NORMAL", "DEAD_LETTERS", "WEBHOOKS", "WEBHOOK_DEAD_LETTERS"]),
    );
    expect(canaries.leaks(messages)).toEqual([]);
    expect(canaries.leaks(logged)).toEqual([]);
  });

  it("that is not ours is refused without a word of what it holds", async () => {
    const message = { id: "0", timestamp: new Date(), attempts: 1, body: { text: foreignText } };
    const batch = createMessageBatch("jobs-normal", [message]);
    const context = createExecutionContext();
    await consume(batch, env, context);
    expect((await getQueueResult(batch, context)).explicitAcks).toEqual(["0"]);
    expect(logged.some((line) => line.includes("message.refused"))).toBe(true);
    expect(canaries.leaks(logged)).toEqual([]);
  });
});

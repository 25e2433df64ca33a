import { createHmac } from "node:crypto";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import type { Delivery, DeliveryPorts } from "../src/webhook.ts";
import { BODY, deliver, NEW, OLD } from "./support/deliver.ts";
import { answer, Receiver, redirect, throttle, type Received } from "./support/receiver.ts";
import { VERIFIERS, verifyByAll } from "./support/verifiers.ts";

let receiver: Receiver;
beforeAll(async () => {
  receiver = await Receiver.start();
});
afterAll(() => receiver.close());

/** A delivery as its receiver got it. */
async function received(
  delivery: Partial<Delivery> = {},
  ports: Partial<DeliveryPorts> = {},
): Promise<Received> {
  const outcome = await deliver(receiver.url("/hook"), delivery, ports);
  expect(outcome).toMatchObject({ type: "delivered", status: 200, error: null });
  const last = receiver.all.at(-1);
  if (last === undefined) throw new Error("nothing was received");
  return last;
}

describe.each(Object.entries(VERIFIERS))("to a receiver with %s a delivery", (_, verify) => {
  it("is genuine, over the exact bytes", async () => {
    const signed = await received();
    expect(signed.text).toBe(BODY);
    await verify(signed, NEW);
    await expect(verify({ ...signed, text: `${BODY} ` }, NEW)).rejects.toThrow();
    await expect(verify(signed, OLD)).rejects.toThrow();
  });

  it("is genuine during a rotation, whichever of the secrets it knows", async () => {
    const signed = await received({ secrets: [NEW, OLD] });
    await verify(signed, NEW);
    await verify(signed, OLD);
    const [newest = ""] = signed.headers["webhook-signature"]?.split(" ") ?? [];
    const alone = { ...signed, headers: { ...signed.headers, "webhook-signature": newest } };
    await verify(alone, NEW);
    await expect(verify(alone, OLD)).rejects.toThrow();
  });

  it.each([
    ["five minutes ago", -299, true],
    ["longer ago, so a captured request is worth nothing", -301, false],
    ["in the future", 301, false],
  ])("that was signed %s", async (_when, seconds, genuine) => {
    const at = Math.floor(Date.now() / 1_000) + seconds;
    const signed = await received({}, { now: () => at * 1_000 });
    vi.useFakeTimers({ toFake: ["Date"], now: (at - seconds) * 1_000 });
    try {
      const verified = expect(verify(signed, NEW));
      await (genuine ? verified.resolves.toBeUndefined() : verified.rejects.toThrow());
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a delivery", () => {
  it("says what it is and when it was sent", async () => {
    const now = Date.now();
    const { method, headers } = await received({ id: "msg_abc_7" }, { now: () => now });
    expect(method).toBe("POST");
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(BODY)),
      "user-agent": "Afterword",
      "webhook-id": "msg_abc_7",
      "webhook-timestamp": String(Math.floor(now / 1_000)),
      "x-webhook-timestamp": String(now),
    });
  });

  it("carries the plain signature too, for receivers that know only that", async () => {
    const { headers, body } = await received({ secrets: [NEW, OLD] });
    const plain = createHmac("sha256", NEW).update(body).digest("hex");
    expect(headers["x-webhook-signature"]).toBe(plain);
  });

  it("carries what its caller wants sent besides", async () => {
    const wanted = { Authorization: "Bearer canary", "X-Tenant": "acme", "x-empty": "" };
    const signed = await received({ headers: wanted });
    const { authorization, "x-tenant": tenant, "x-empty": empty } = signed.headers;
    expect([authorization, tenant, empty]).toEqual(["Bearer canary", "acme", ""]);
    await verifyByAll(signed, NEW);
  });

  it("lets nothing of the caller's take the place of ours", async () => {
    const plain = await received({}, { now: () => 1_800_000_000_000 });
    const ours = Object.keys(plain.headers).filter((name) =>
      /webhook-|^content-type|^user/.test(name),
    );
    expect(ours).toHaveLength(7);
    const forged = Object.fromEntries(ours.map((name) => [name.toUpperCase(), "forged"]));
    const { headers } = await received({ headers: forged }, { now: () => 1_800_000_000_000 });
    expect(headers).toEqual(plain.headers);
  });

  it("is the same on every attempt but for its time and what follows from that", async () => {
    const first = await received({ id: "msg_same" }, { now: () => 1_800_000_000_000 });
    const second = await received({ id: "msg_same" }, { now: () => 1_800_000_060_000 });
    expect(second.body).toEqual(first.body);
    expect(second.headers["webhook-id"]).toBe(first.headers["webhook-id"]);
    expect(second.headers["webhook-timestamp"]).toBe("1800000060");
    expect(second.headers["webhook-signature"]).not.toBe(first.headers["webhook-signature"]);
  });

  const date = new Date(Date.now() + 3_600_000).toUTCString();
  const soon = expect.closeTo(3_600_000, -5) as number;

  it.each([
    ["200", 200, { type: "delivered", status: 200, error: null, retryAfterMs: null }],
    ["201", 201, { type: "delivered", status: 201 }],
    ["204", 204, { type: "delivered", status: 204 }],
    ["299", 299, { type: "delivered", status: 299 }],
    ["304", 304, { type: "failed", status: 304 }],
    ["400", 400, { type: "failed", status: 400 }],
    ["404", 404, { type: "failed", status: 404, error: "HTTP 404", retryAfterMs: null }],
    ["409", 409, { type: "failed", status: 409 }],
    ["410", 410, { type: "gone", status: 410, error: "HTTP 410", retryAfterMs: null }],
    ["500", 500, { type: "failed", status: 500, retryAfterMs: null }],
    ["502", 502, { type: "failed", status: 502, retryAfterMs: null }],
    ["429", 429, { type: "failed", status: 429, retryAfterMs: null }],
    ["429 and seconds", throttle("7"), { type: "failed", status: 429, retryAfterMs: 7_000 }],
    ["429 and a date", throttle(date), { type: "failed", retryAfterMs: soon }],
    ["429 and a date gone by", throttle("Thu, 01 Jan 1970 00:00:00 GMT"), { retryAfterMs: 0 }],
    ["429 and nonsense", throttle("-1; drop"), { type: "failed", retryAfterMs: null }],
    ["503 and seconds", throttle("90", 503), { type: "failed", retryAfterMs: 90_000 }],
    ["500 and seconds", answer(500, { "retry-after": "9" }), { retryAfterMs: null }],
    ["200 and seconds", answer(200, { "retry-after": "9" }), { retryAfterMs: null }],
  ] as const)("answered with %s is told as what it is", async (_, step, outcome) => {
    receiver.plan("/answer", step);
    expect(await deliver(receiver.url("/answer"))).toMatchObject(outcome);
  });

  it.each([301, 302, 303, 307, 308] as const)(
    "redirected with %i has failed, and its signed body goes nowhere else",
    async (status) => {
      const path = `/elsewhere/${status}`;
      receiver.plan("/redirect", redirect(status, path));
      const outcome = await deliver(receiver.url("/redirect"));
      expect(outcome).toMatchObject({ type: "failed", status, error: `HTTP ${status}` });
      expect(receiver.at(path)).toEqual([]);
    },
  );

  it("tells how long it took, and never less than nothing", async () => {
    const clock = [5_000, 5_040, 5_042];
    const port = { now: () => clock.shift() ?? 0 };
    expect(await deliver(receiver.url("/hook"), {}, port)).toMatchObject({ latencyMs: 42 });
    const back = [5_000, 4_000, 3_000];
    const backwards = { now: () => back.shift() ?? 0 };
    expect(await deliver(receiver.url("/hook"), {}, backwards)).toMatchObject({ latencyMs: 0 });
  });
});

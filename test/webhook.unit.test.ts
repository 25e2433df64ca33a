import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import type { DeliveryOutcome } from "../src/domain/delivery.ts";
import { attemptDelivery, type Delivery, type DeliveryPorts } from "../src/webhook.ts";

const NEW = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const OLD = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;

/** What the receiver was sent, and how it answers. */
type Received = { headers: Record<string, string>; body: string };
const received: Received[] = [];
type Respond = (response: ServerResponse) => void;
let respond: Respond;

const server = createServer((request, response) => void receive(request, response));
async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  );
  received.push({ headers, body: await text(request) });
  respond(response);
}

let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
});
afterAll(() => void server.close());

const BODY = JSON.stringify({
  type: "dead_letter.threshold",
  data: { depth: 101, word: "größer" },
});

/** One attempt at the receiver, which answers like this. */
async function attempt(
  answer: Respond,
  delivery: Partial<Delivery> = {},
  ports: Partial<DeliveryPorts> = {},
): Promise<DeliveryOutcome> {
  respond = answer;
  return attemptDelivery(
    { id: "msg_1", url, body: BODY, secrets: [NEW], ...delivery },
    { fetch, now: Date.now, ...ports },
  );
}

function answering(status: number, headers: Record<string, string> = {}, body = ""): Respond {
  return (response) => {
    response.writeHead(status, headers).end(body);
  };
}

const cutting: Respond = (response) => {
  response.destroy();
};

/** An answer that goes on for as long as it is read. */
function endless(response: ServerResponse): void {
  response.writeHead(200);
  const more = (): void => {
    while (response.write("x".repeat(700)));
  };
  response.on("drain", more).on("error", () => {});
  more();
}

function lastReceived(): Received {
  const last = received.at(-1);
  if (last === undefined) throw new Error("nothing was received");
  return last;
}

describe("a delivery", () => {
  it("is signed so that standardwebhooks accepts it, over the exact bytes", async () => {
    expect(await attempt(answering(200))).toMatchObject({ type: "delivered", status: 200 });
    const { headers, body } = lastReceived();
    expect(body).toBe(BODY);
    expect(new Webhook(NEW).verify(body, headers)).toEqual(JSON.parse(BODY));
    expect(() => new Webhook(NEW).verify(`${body} `, headers)).toThrow();
    expect(headers["webhook-id"]).toBe("msg_1");
    expect(headers["webhook-timestamp"]).toMatch(/^\d{10}$/);
    expect(headers["content-type"]).toBe("application/json");
  });

  it("is signed by every secret, the newest first, so that a rotation breaks no receiver", async () => {
    await attempt(answering(200), { secrets: [NEW, OLD] });
    const { headers, body } = lastReceived();
    for (const secret of [NEW, OLD]) new Webhook(secret).verify(body, headers);
    const [first = ""] = headers["webhook-signature"]?.split(" ") ?? [];
    const alone = { ...headers, "webhook-signature": first };
    new Webhook(NEW).verify(body, alone);
    expect(() => new Webhook(OLD).verify(body, alone)).toThrow();
  });

  it("carries the plain signature and time too, for receivers that know only those", async () => {
    const now = Date.now();
    await attempt(answering(200), {}, { now: () => now });
    const { headers, body } = lastReceived();
    const plain = createHmac("sha256", NEW).update(body).digest("hex");
    expect(headers["x-webhook-signature"]).toBe(plain);
    expect(headers["x-webhook-timestamp"]).toBe(String(now));
    expect(headers["webhook-timestamp"]).toBe(String(Math.floor(now / 1_000)));
  });

  it.each([
    ["200", answering(200), { type: "delivered", status: 200, error: null }],
    ["204", answering(204), { type: "delivered", status: 204, error: null }],
    ["410", answering(410), { type: "gone", status: 410 }],
    ["404", answering(404), { type: "failed", status: 404, error: "HTTP 404", retryAfterMs: null }],
    ["500", answering(500), { type: "failed", status: 500, retryAfterMs: null }],
    ["429", answering(429, { "retry-after": "7" }), { type: "failed", retryAfterMs: 7_000 }],
    ["503", answering(503, { "retry-after": "90" }), { type: "failed", retryAfterMs: 90_000 }],
    ["500 with a wait", answering(500, { "retry-after": "9" }), { retryAfterMs: null }],
    ["a cut connection", cutting, { status: null }],
  ] as const)("answered with %s is told as what it is", async (_, answer, outcome) => {
    expect(await attempt(answer)).toMatchObject(outcome);
  });

  it("that is redirected has failed, and its signed body goes nowhere else", async () => {
    const before = received.length;
    const outcome = await attempt(answering(307, { location: `${url}/elsewhere` }));
    expect(outcome).toMatchObject({ type: "failed", status: 307 });
    expect(received).toHaveLength(before + 1);
  });

  it("keeps at most a kilobyte of the answer, however long that goes on", async () => {
    const outcome = await attempt(endless);
    expect(outcome).toMatchObject({ type: "delivered", answer: "x".repeat(1_024) });
    expect(await attempt(answering(500, {}, "canary"))).toMatchObject({ answer: "canary" });
  });

  it.each([
    ["no answer", () => new Promise<void>(() => {})],
    ["an answer without an end", () => Promise.resolve()],
  ])("is cut after ten seconds, with %s", async (_, behave) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const asked = Promise.withResolvers<void>();
      // As a network does: what is under way breaks when its signal says so.
      const network: typeof fetch = async (_input, init) => {
        const { promise: broken, reject } = Promise.withResolvers<never>();
        init?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
        asked.resolve();
        await Promise.race([behave(), broken]);
        return new Response(new ReadableStream({ pull: () => broken }));
      };
      const outcome = attempt(answering(200), {}, { fetch: network });
      await asked.promise;
      await vi.advanceTimersByTimeAsync(9_999);
      expect(vi.getTimerCount()).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(await outcome).toMatchObject({
        type: "failed",
        status: null,
        error: "No answer within 10 s",
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it("leaves no timer behind", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const ports = { fetch: () => Promise.resolve(new Response("ok")) };
    expect(await attempt(answering(200), {}, ports)).toMatchObject({ answer: "ok" });
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it("that cannot be made at all is an outcome like any other", async () => {
    const nowhere = await attempt(answering(200), { url: "http://127.0.0.1:1/" });
    expect(nowhere).toMatchObject({ type: "failed", status: null, error: "Could not be reached" });
    expect(await attempt(answering(200), { url: "no url" })).toMatchObject({ type: "failed" });
  });
});

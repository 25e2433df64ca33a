import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import { deliver, NEW } from "./support/deliver.ts";
import {
  answer,
  cutBody,
  endlessBody,
  hang,
  hugeHeaders,
  Receiver,
  resetAfterEffect,
  resetBeforeReading,
  slowBody,
  slowHeaders,
  throttle,
  type Step,
} from "./support/receiver.ts";
import { verifyByAll } from "./support/verifiers.ts";

/** Long enough for an answer from this machine to begin, short enough to be waited for. */
const LIMIT_MS = 1_000;
const UNREACHED = { type: "failed", status: null, error: "Could not be reached", answer: "" };
const UNANSWERED = { type: "failed", status: null, error: "No answer within 1 s", answer: "" };

let receiver: Receiver;
beforeAll(async () => {
  receiver = await Receiver.start();
});
afterAll(() => receiver.close());
afterEach(() => {
  vi.useRealTimers();
});

let paths = 0;

/** One attempt at a receiver that behaves like this, at a path of its own. */
async function meet(step: Step, limitMs = 10_000) {
  paths += 1;
  const path = `/${paths}`;
  receiver.plan(path, step);
  const outcome = await deliver(receiver.url(path), {}, { limitMs });
  return { outcome, path };
}

/** The receiver saw its connection closed before it had said all it wanted to. */
async function expectLeft(path: string): Promise<void> {
  const [received] = await receiver.received(1, { path });
  await receiver.until(() => received?.leftEarly === true, `the client of ${path} gone`);
}

describe("a receiver without an end", () => {
  it.each([
    ["never answers", hang],
    ["sends headers for ever", slowHeaders(1)],
  ])("that %s is left when the time is over", async (_, step) => {
    const { outcome, path } = await meet(step, LIMIT_MS);
    expect(outcome).toMatchObject(UNANSWERED);
    await expectLeft(path);
  });

  it("that drips its answer is left when the time is over, and that is no success", async () => {
    const { outcome, path } = await meet(slowBody(60_000), LIMIT_MS);
    const error = "No end of the answer within 1 s";
    expect(outcome).toMatchObject({ type: "failed", status: 200, error, answer: "x" });
    await expectLeft(path);
  });

  it("that refuses is understood, however long it goes on about it", async () => {
    const { outcome } = await meet(slowBody(60_000, 410), LIMIT_MS);
    expect(outcome).toMatchObject({ type: "gone", status: 410, error: "HTTP 410", answer: "x" });
  });

  it.each([
    ["a success", 200, "delivered"],
    ["a failure", 500, "failed"],
  ])("that pours out %s is read for a kilobyte, then left", async (_, status, type) => {
    const { outcome, path } = await meet(endlessBody(status));
    expect(outcome).toMatchObject({ type, status, answer: "x".repeat(1_024) });
    await expectLeft(path);
  });

  it("that pours faster than it is asked to is read no further than what is kept", async () => {
    let pulled = 0;
    const flood = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled += 1;
          // Whoever reads on would do so for ever.
          if (pulled > 10) throw new Error("read further than what is kept");
          controller.enqueue(new Uint8Array(700).fill(0x78));
        },
      },
      { highWaterMark: 0 },
    );
    const outcome = await deliver(
      receiver.url("/"),
      {},
      { fetch: async () => new Response(flood) },
    );
    expect(outcome).toMatchObject({ type: "delivered", answer: "x".repeat(1_024) });
    expect(pulled).toBe(2);
  });

  it("costs the time that was given and leaves no timer behind", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const asked = Promise.withResolvers<void>();
    // As a network does: what is under way breaks when its signal says so.
    const network: typeof fetch = (_, init) => {
      const { promise: broken, reject } = Promise.withResolvers<never>();
      init?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
      asked.resolve();
      return broken;
    };
    const outcome = deliver(receiver.url("/"), {}, { fetch: network, limitMs: 10_000 });
    await asked.promise;
    await vi.advanceTimersByTimeAsync(9_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({ type: "failed", error: "No answer within 10 s" });
    const quick = { fetch: () => Promise.resolve(new Response("ok")) };
    expect(await deliver(receiver.url("/"), {}, quick)).toMatchObject({ answer: "ok" });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a connection", () => {
  it("that breaks before the delivery was taken is a failure", async () => {
    expect((await meet(resetBeforeReading)).outcome).toMatchObject(UNREACHED);
  });

  it("that breaks after it was taken is a failure too, and the next attempt has the same id", async () => {
    receiver.plan("/effect", resetAfterEffect, 200);
    const url = receiver.url("/effect");
    expect(await deliver(url)).toMatchObject(UNREACHED);
    expect(await deliver(url)).toMatchObject({ type: "delivered" });
    const [first, second] = await receiver.received(2, { path: "/effect" });
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(second?.text).toBe(first?.text);
    if (second !== undefined) await verifyByAll(second, NEW);
  });

  it("that breaks in the middle of a success is none", async () => {
    const { outcome } = await meet(cutBody("ok, we have"));
    const error = "The answer broke off";
    expect(outcome).toMatchObject({ type: "failed", status: 200, error, answer: "ok, we have" });
  });

  it.each([
    ["to a closed port", "http://127.0.0.1:1/"],
    ["to a name that cannot be resolved", `https://${"a".repeat(64)}.com/`],
    ["to one that speaks no TLS", "https:"],
    ["to what is no address", "no url"],
  ])("%s is an outcome like any other", async (_, url) => {
    const target = url === "https:" ? receiver.url("/").replace("http:", "https:") : url;
    expect(await deliver(target)).toMatchObject(UNREACHED);
  });
});

describe("an answer", () => {
  it.each([
    ["500 for ever", [500, 500, 500, 500], ["failed", "failed", "failed", "failed"]],
    ["500, then well", [500, 500, 200], ["failed", "failed", "delivered"]],
    ["throttled, then gone", [throttle("1"), 410], ["failed", "gone"]],
  ])("is told one by one: %s", async (name, steps, types) => {
    const path = `/${encodeURIComponent(name)}`;
    receiver.plan(path, ...steps);
    const told = [];
    for (const _ of types) told.push((await deliver(receiver.url(path))).type);
    expect(told).toEqual(types);
  });

  it("with more headers than anybody takes is none", async () => {
    expect((await meet(hugeHeaders())).outcome).toMatchObject(UNREACHED);
  });

  it.each([
    ["as it is, where it is plain", '{"ok": true} größe 👍', '{"ok": true} größe 👍'],
    ["on one line", "a\r\nb\u2028c\u0085d", "a  b c d"],
    ["without commands to a terminal", "\u001b[2J\u0007\u009b31m\0", " [2J  31m "],
    ["without turning round what follows", "\u202egnp.exe\u2066", " gnp.exe "],
    ["up to a kilobyte", "y".repeat(1_025), "y".repeat(1_024)],
    ["up to the last whole character", `${"y".repeat(1_023)}ä`, "y".repeat(1_023)],
  ])("is kept %s", async (_, body, kept) => {
    expect((await meet(answer(500, {}, body))).outcome).toMatchObject({ answer: kept });
  });

  it("takes no more room than its bytes took, whatever they are", async () => {
    const bytes = new Uint8Array(4_096).fill(0xff);
    const outcome = await deliver(
      receiver.url("/"),
      {},
      { fetch: async () => new Response(bytes) },
    );
    expect(outcome.answer).toBe("?".repeat(1_024));
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { freshPrompt, startProcessJourney } from "../support/journey.ts";
import {
  answer,
  cutBody,
  endlessBody,
  hang,
  hugeHeaders,
  Receiver,
  redirect,
  resetAfterEffect,
  resetBeforeReading,
  slowBody,
  slowHeaders,
  throttle,
  type Step,
} from "../support/receiver.ts";
import { startWebhookJourney, type Taken } from "../support/webhook-journey.ts";

const LIMIT_MS = 1_500;

// As npm start runs it: the harness answers for ports where nobody listens, and follows redirects.
let other: Receiver;
let dead: string;
let journey: Awaited<ReturnType<typeof start>>;
const start = () =>
  startWebhookJourney(startProcessJourney, {
    others: [other.origin, dead],
    vars: { WEBHOOK_TIMEOUT_MS: `${LIMIT_MS}` },
  });
beforeAll(async () => {
  other = await Receiver.start();
  const gone = await Receiver.start();
  dead = gone.origin;
  await gone.close();
  journey = await start();
});
afterEach(() => journey.webhooks.audit());
afterAll(async () => {
  await journey.close();
  await other.close();
});

/** Invariant 7: one event, however often it comes; each time signed anew. */
function expectOneEvent(taken: Taken[]): void {
  expect(new Set(taken.map(({ id, text }) => `${id} ${text}`)).size).toBe(1);
  const times = taken.map(({ headers }) => Number(headers["x-webhook-timestamp"]));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(new Set(times).size).toBe(taken.length);
}

describe("a receiver that fails", () => {
  it("F27: with an error is tried again after 1, 2 and 4 s, with the same event signed anew", async () => {
    const { id, path } = await journey.webhooks.submit([500, 503, 404, 200]);
    const taken = await journey.webhooks.taken(path, 4);
    expectOneEvent(taken);
    const [first, , , last] = taken;
    for (const header of ["webhook-timestamp", "webhook-signature"]) {
      expect(first?.headers[header]).not.toBe(last?.headers[header]);
    }
    const waits = taken.slice(1).map(({ at }, index) => at - (taken[index]?.at ?? 0));
    for (const [index, nominal] of [1_000, 2_000, 4_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(nominal * 0.8);
    }
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.status === "delivered",
    );
    expect(delivery).toEqual({
      delivery_id: first?.id,
      event: "job.completed",
      status: "delivered",
      created_at: first?.event.timestamp,
      next_attempt_at: null,
      attempts: [500, 503, 404, 200].map((status) => ({
        at: expect.any(String),
        outcome: status === 200 ? "delivered" : "failed",
        status,
        latency_ms: expect.any(Number),
        error: status === 200 ? null : `HTTP ${status}`,
        answer: "",
      })),
    });
  });

  it("F27: for ever is tried again in minutes, as its log says", async () => {
    const { id, path } = await journey.webhooks.submit([500]);
    await journey.webhooks.taken(path, 4);
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.attempts.length === 4,
    );
    expect(delivery?.status).toBe("pending");
    const { next_attempt_at, attempts } = delivery ?? { attempts: [] };
    const waitMs = Date.parse(next_attempt_at ?? "") - Date.parse(attempts[3]?.at ?? "");
    expect(waitMs).toBeGreaterThanOrEqual(300_000 * 0.8);
  });

  it("F31: with 410 gets it no more, nor what waits behind it", async () => {
    const job = { prompt: freshPrompt(), webhook_events: ["job.started" as const] };
    const { id, path } = await journey.webhooks.submit([500, 410], job);
    await journey.api.ended(id);
    const [started, completed] = await journey.webhooks.deliveriesUntil(id, (all) =>
      all.every(({ status }) => status !== "pending"),
    );
    expect(started).toMatchObject({
      status: "gone",
      next_attempt_at: null,
      attempts: [{ status: 500 }, { outcome: "gone", status: 410, error: "HTTP 410" }],
    });
    expect(completed).toMatchObject({ event: "job.completed", status: "gone", attempts: [] });
    expect(journey.receiver.at(path)).toHaveLength(2);
  });

  it.each([429, 503] as const)(
    "F31: with %d is left alone for the seconds it says",
    async (status) => {
      const { path } = await journey.webhooks.submit([throttle("4", status), 200]);
      const [first, second] = await journey.webhooks.taken(path, 2);
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(4_000);
    },
  );

  it("F31: with 429 is left alone until the date it says", async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const { id } = await journey.webhooks.submit([throttle(date)]);
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.attempts.length === 1,
    );
    const nextAt = Date.parse(delivery?.next_attempt_at ?? "");
    expect(nextAt).toBeGreaterThanOrEqual(Date.parse(date));
  });

  it.each([301, 302, 303, 307, 308] as const)(
    "F29: with a redirect (%d) has failed, and nobody follows it",
    async (status) => {
      const target = `/redirected-${status}`;
      const { id, path } = await journey.webhooks.submit([
        redirect(status, other.url(target)),
        redirect(status, target),
        200,
      ]);
      expectOneEvent(await journey.webhooks.taken(path, 3));
      const [delivery] = await journey.webhooks.deliveriesUntil(
        id,
        ([only]) => only?.status === "delivered",
      );
      expect(delivery?.attempts.map((attempt) => attempt.status)).toEqual([status, status, 200]);
      expect([...other.at(target), ...journey.receiver.at(target)]).toEqual([]);
    },
  );

  it.each<[string, Step, object]>([
    ["F33: takes the event and loses its answer", resetAfterEffect, { status: null }],
    ["F28: never answers", hang, { status: null, error: "No answer within 1.5 s" }],
    ["F28: never ends its headers", slowHeaders(100), { status: null }],
    [
      "F30: never ends its answer",
      slowBody(200),
      { status: 200, error: "No end of the answer within 1.5 s" },
    ],
    ["F30: breaks its answer off", cutBody("half an ans"), { status: 200, answer: "half an ans" }],
    ["F30: says too much in its headers", hugeHeaders(), { status: null }],
  ])("%s: the same event comes again", async (_, step, logged) => {
    const { id, path } = await journey.webhooks.submit([step, 200]);
    expectOneEvent(await journey.webhooks.taken(path, 2));
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.status === "delivered",
    );
    expect(delivery?.attempts).toMatchObject([{ outcome: "failed", ...logged }, { status: 200 }]);
  });

  it("F32: before it took the event gets it when it is back", async () => {
    const refused = journey.receiver.refused;
    const { path } = await journey.webhooks.submit([resetBeforeReading, 200]);
    await journey.webhooks.taken(path, 1);
    expect(journey.receiver.refused).toBe(refused + 1);
  });

  it("F32: to be there at all is tried again", async () => {
    const { id } = await journey.webhooks.submit([], { webhook_url: `${dead}/hook` });
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => (only?.attempts.length ?? 0) > 1,
    );
    expect(delivery).toMatchObject({ status: "pending", next_attempt_at: expect.any(String) });
    expect(delivery?.attempts[0]).toMatchObject({ status: null, error: "Could not be reached" });
    expect(await journey.api.read(id)).toMatchObject({ status: "completed" });
  });

  it("F30: to end its answer has taken the event once a kilobyte is read", async () => {
    const { id, path } = await journey.webhooks.submit([endlessBody()]);
    await journey.webhooks.settled(id, path);
    const [delivery] = await journey.webhooks.deliveries(id);
    expect(delivery).toMatchObject({
      status: "delivered",
      attempts: [{ status: 200, answer: "x".repeat(1_024) }],
    });
    await journey.receiver.until(() => journey.receiver.at(path)[0]?.leftEarly === true, "the end");
  });

  it("F30: with a long answer has its first kilobyte in the log, on one harmless line", async () => {
    const said = `\u001b[31mred\nline\u202e ${"é".repeat(2_000)}`;
    const { id } = await journey.webhooks.submit([answer(200, {}, said)]);
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.status === "delivered",
    );
    const kept = delivery?.attempts[0]?.answer ?? "";
    expect(kept.startsWith(" [31mred line  é")).toBe(true);
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(1_024);
  });
});

describe("a receiver that hangs", () => {
  it("F28: delays neither the end of its jobs nor another's deliveries", async () => {
    const jobs = 12;
    journey.receiver.plan("/hanging", hang);
    const webhook_url = journey.receiver.url("/hanging");
    const hanging = await Promise.all(
      Array.from({ length: jobs }, () => journey.webhooks.submit([], { webhook_url })),
    );
    await journey.receiver.received(2, { path: "/hanging" });
    const well = await Promise.all(
      Array.from({ length: jobs }, (_, at) =>
        journey.webhooks.submit([], { webhook_url: other.url(`/well-${at}`) }),
      ),
    );
    const taken = await other.received(jobs);
    for (const received of taken) await journey.webhooks.read(received);
    // All that while nobody has had an answer of the one that hangs.
    for (const { id } of hanging) {
      const [delivery] = await journey.webhooks.deliveriesUntil(id, () => true);
      expect(delivery).toMatchObject({ status: "pending" });
    }
    const ids = [...hanging, ...well].map(({ id }) => id);
    const ended = await Promise.all(ids.map((id) => journey.api.ended(id)));
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(["completed"]));
  });
});

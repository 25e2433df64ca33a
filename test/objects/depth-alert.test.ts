import { abortAllDurableObjects } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Ledger, lettersOf, OPERATOR } from "./letters.ts";
import { DAY_MS, holdClock, logged, passTime } from "./support.ts";

holdClock({ ledgersToo: false });

/** What the operator's receiver was sent. */
const receiver = {
  received: [] as { url: string; headers: Record<string, string>; body: string; at: number }[],
  respond: (): Response | Promise<Response> => new Response(null, { status: 204 }),
};

beforeEach(() => {
  receiver.received = [];
  receiver.respond = () => new Response(null, { status: 204 });
  vi.stubGlobal("fetch", async (url: string, init: { headers: Headers; body: string }) => {
    const headers = Object.fromEntries(init.headers);
    receiver.received.push({ url, headers, body: init.body, at: Date.now() });
    return receiver.respond();
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

const SETTINGS = { ...OPERATOR, DLQ_ALERT_THRESHOLD: "3" };

async function watchedLedger(settings: Record<string, unknown> = SETTINGS): Promise<Ledger> {
  const ledger = new Ledger();
  await ledger.configure(settings);
  return ledger;
}

/** How many attempts at all alerts have told how they went. */
function told(): number {
  return logged.filter((line) => line.includes("alert.attempted")).length;
}

/** How many attempts were begun at all alerts. */
function begun(ledger: Ledger): Promise<number> {
  return ledger.inside((_, { sql }) =>
    Number(sql.exec("SELECT coalesce(sum(attempts), 0) AS attempts FROM alert").one()["attempts"]),
  );
}

/** Lets the alarm ring until it makes an attempt, and waits until what came of that is stored. */
async function attempt(ledger: Ledger): Promise<void> {
  const before = { told: told(), begun: await begun(ledger) };
  while ((await begun(ledger)) === before.begun) await ledger.wake();
  await expect.poll(told, { interval: 5 }).toBe(before.told + 1);
}

/** Nothing more is sent in the next three days, whatever the alarm finds to do. */
async function expectQuiet(ledger: Ledger): Promise<void> {
  const before = await begun(ledger);
  const until = Date.now() + 3 * DAY_MS;
  for (;;) {
    const alarm = await ledger.alarmAt();
    if (alarm === null || alarm > until) break;
    await ledger.wake();
  }
  expect(await begun(ledger)).toBe(before);
}

async function discardAll(ledger: Ledger): Promise<void> {
  for (const { dlqId } of await ledger.all()) await ledger.desk.discard(dlqId);
}

describe("an alert about depth", () => {
  it("is posted once when the depth rises above the threshold, signed, and says what is wrong", async () => {
    const ledger = await watchedLedger();
    await ledger.desk.add(lettersOf(3));
    expect(await ledger.alarmAt()).toBeNull();
    await ledger.desk.add(lettersOf(1));
    expect(await ledger.alarmAt()).toBe(Date.now());
    await attempt(ledger);
    const [sent] = receiver.received;
    if (sent === undefined) throw new Error("nothing was received");
    const { url, headers, body } = sent;
    expect(url).toBe(OPERATOR.OPERATOR_WEBHOOK_URL);
    vi.useRealTimers();
    // The verifier wants it to be of these minutes; the tests' clock is an hour ahead.
    vi.setSystemTime(Number(headers["webhook-timestamp"]) * 1_000);
    expect(new Webhook(OPERATOR.OPERATOR_WEBHOOK_SECRET).verify(body, headers)).toEqual({
      type: "dead_letter.threshold",
      timestamp: expect.any(String),
      event: "dead_letter.threshold",
      data: {
        depth: 4,
        threshold: 3,
        list_url: "/api/admin/dead-letter",
        groups: [
          {
            fingerprint: expect.any(String),
            error_code: "provider_unavailable",
            error: "The provider is unavailable (HTTP 503)",
            provider: "openai",
            count: 4,
          },
        ],
      },
    });
    await ledger.desk.add(lettersOf(10));
    await expectQuiet(ledger);
    expect(receiver.received).toHaveLength(1);
  });

  it("is posted again only after the depth has been at the threshold or below", async () => {
    const ledger = await watchedLedger();
    await ledger.desk.add(lettersOf(6));
    await attempt(ledger);
    const letters = await ledger.all();
    for (const { dlqId } of letters.slice(0, 2)) await ledger.desk.discard(dlqId);
    await ledger.desk.add(lettersOf(3));
    for (const { dlqId } of letters.slice(2)) await ledger.desk.discard(dlqId);
    expect(await ledger.depth()).toBe(3);
    await ledger.desk.add(lettersOf(1));
    await attempt(ledger);
    expect(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size).toBe(2);
  });

  it("is posted once for a crossing in the middle of a call, and over evictions", async () => {
    const ledger = await watchedLedger();
    await ledger.desk.add(lettersOf(100));
    await ledger.evict();
    await ledger.configure(SETTINGS);
    await ledger.desk.add(lettersOf(100));
    await attempt(ledger);
    await ledger.evict();
    await ledger.configure(SETTINGS);
    await ledger.desk.add(lettersOf(1));
    await expectQuiet(ledger);
    expect(receiver.received).toHaveLength(1);
  });

  it("is lowered by an operation as it is by hand", async () => {
    const ledger = await watchedLedger();
    await ledger.desk.add(lettersOf(4));
    await attempt(ledger);
    const { operationId } = await ledger.desk.start("discard", { filter: {} }, 100);
    await ledger.finish(operationId);
    await ledger.desk.add(lettersOf(4));
    await attempt(ledger);
    expect(receiver.received).toHaveLength(2);
  });

  it("that fails is tried again for three days, with the same id and body and a new signature", async () => {
    const ledger = await watchedLedger();
    receiver.respond = () => new Response("down", { status: 500 });
    await ledger.desk.add(lettersOf(4));
    for (let attempts = 0; attempts < 12; attempts++) await attempt(ledger);
    await discardAll(ledger);
    const { received } = receiver;
    expect(
      new Set(received.map(({ headers, body }) => `${headers["webhook-id"]} ${body}`)).size,
    ).toBe(1);
    const hours = received
      .slice(1)
      .map(({ at }, before) => (at - (received[before]?.at ?? 0)) / 3.6e6);
    const nominal = [1 / 3600, 2 / 3600, 4 / 3600, 1 / 12, 0.5, 2, 5, 10, 14, 20, 24];
    for (const [at, wait] of nominal.entries()) {
      expect(Math.abs((hours[at] ?? 0) / wait - 1)).toBeLessThanOrEqual(0.2001);
    }
    for (const { headers, at } of received) {
      expect(headers["webhook-timestamp"]).toBe(String(Math.floor(at / 1_000)));
    }
    await expectQuiet(ledger);
  });

  it("waits as long as its receiver asks, and ends where it is wanted no more", async () => {
    const ledger = await watchedLedger();
    receiver.respond = () => new Response(null, { status: 503, headers: { "retry-after": "60" } });
    await ledger.desk.add(lettersOf(4));
    await attempt(ledger);
    receiver.respond = () => new Response(null, { status: 410 });
    await attempt(ledger);
    const [first, second] = receiver.received;
    const waited = (second?.at ?? 0) - (first?.at ?? 0);
    expect(waited).toBeGreaterThanOrEqual(60_000);
    expect(waited).toBeLessThanOrEqual(72_000);
    await expectQuiet(ledger);
  });

  it("whose receiver hangs holds up no operation, and is tried again if the object dies meanwhile", async () => {
    const ledger = await watchedLedger();
    receiver.respond = () => new Promise(() => {});
    await ledger.desk.add(lettersOf(8));
    const { operationId } = await ledger.desk.start("discard", { filter: {} }, 2);
    await ledger.finish(operationId);
    expect(receiver.received).toHaveLength(1);
    const startedAt = receiver.received[0]?.at ?? 0;
    await abortAllDurableObjects();
    await ledger.configure(SETTINGS);
    receiver.respond = () => new Response(null, { status: 204 });
    expect(await ledger.alarmAt()).toBe(startedAt + 15_000);
    await attempt(ledger);
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
    expect(ids).toEqual([ids[0], ids[0]]);
  });

  it("is not made where nobody is to be told, nor owed to who is not any more", async () => {
    const ledger = await watchedLedger({ DLQ_ALERT_THRESHOLD: "3" });
    await ledger.desk.add(lettersOf(4));
    expect(await ledger.alarmAt()).toBeNull();
    await ledger.configure(SETTINGS);
    await ledger.desk.add(lettersOf(1));
    await ledger.configure({ OPERATOR_WEBHOOK_URL: undefined });
    await ledger.wake();
    expect(receiver.received).toEqual([]);
    expect(await ledger.alarmAt()).toBeNull();
  });

  it("keeps no letter out when its settings are wrong", async () => {
    const ledger = await watchedLedger({ DLQ_ALERT_THRESHOLD: "many" });
    await ledger.desk.add(lettersOf(4));
    expect(await ledger.depth()).toBe(4);
    expect(logged.join()).toContain("alert.unwatched");
  });

  it("is forgotten a week after it was lowered", async () => {
    const ledger = await watchedLedger();
    await ledger.desk.add(lettersOf(4));
    await attempt(ledger);
    await discardAll(ledger);
    passTime(8 * DAY_MS);
    await ledger.wake();
    expect(await ledger.inside((_, { sql }) => [...sql.exec("SELECT * FROM alert")])).toEqual([]);
    expect(await ledger.alarmAt()).toBeNull();
  });
});

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { freshPrompt, startProcessJourney } from "../support/journey.ts";
import { seeded } from "../support/random.ts";
import { delayed, hang, throttle, type Step } from "../support/receiver.ts";
import { seedOfRun } from "../support/run-seed.ts";
import { startWebhookJourney, type Taken } from "../support/webhook-journey.ts";

/** What was on its way when the process died is told again by the job's alarm, which waits for half a minute. */
const AFTER_A_KILL_MS = 60_000;

const start = () =>
  startWebhookJourney(startProcessJourney, { vars: { LEASE_SECONDS: "3", MAX_STALLS: "9" } });
let journey: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  journey = await start();
});
afterEach(() => journey.webhooks.audit());
afterAll(() => journey.close());

async function killAndRestart(): Promise<void> {
  await journey.product.kill();
  await journey.product.start();
}

/** Invariant 7: the same id and body, however often. */
function expectOneEvent(taken: Taken[]): void {
  expect(new Set(taken.map(({ id, text }) => `${id} ${text}`)).size).toBe(1);
}

describe("a process that is killed", () => {
  it("F5, F33: while a receiver acts on an event brings the same event again, signed anew", async () => {
    const job = { prompt: freshPrompt(), callback_headers: { "x-order": "7" } };
    const { id, path } = await journey.webhooks.submit([hang, 200], job);
    // The receiver has it, and nobody will ever know.
    await journey.receiver.received(1, { path });
    await killAndRestart();
    const taken = await journey.webhooks.taken(path, 2, AFTER_A_KILL_MS);
    expectOneEvent(taken);
    expect(taken.map(({ headers }) => headers["x-order"])).toEqual(["7", "7"]);
    const [first, again] = taken.map(({ headers }) => headers["webhook-signature"]);
    expect(again).not.toBe(first);
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.status === "delivered",
    );
    // The try whose end nobody saw is in no log.
    expect(delivery?.attempts).toMatchObject([{ status: 200 }]);
  });

  it("F4, F27: while an event waits for its next try makes it, in its turn", async () => {
    const { id, path } = await journey.webhooks.submit([throttle("6"), 500, 200]);
    await journey.webhooks.deliveriesUntil(id, ([only]) => only?.attempts.length === 1);
    await killAndRestart();
    const taken = await journey.webhooks.taken(path, 3, AFTER_A_KILL_MS);
    expectOneEvent(taken);
    const [first, second] = taken;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(6_000);
    const [delivery] = await journey.webhooks.deliveriesUntil(
      id,
      ([only]) => only?.status === "delivered",
    );
    expect(delivery?.attempts.map(({ status }) => status)).toEqual([429, 500, 200]);
  });

  it("F4, F5: at any moment of many jobs' ends owes each its one event, until it is taken", async () => {
    const random = seeded(seedOfRun());
    const plans: Step[][] = [[200], [500, 200], [delayed(300)], [throttle("2"), 200]];
    const jobs = await Promise.all(
      Array.from({ length: 24 }, async (_, at) => {
        const tokens = 5 + Math.floor(random() * 60);
        const prompt = freshPrompt(`[tokens=${tokens} every=${20 + Math.floor(random() * 60)}]`);
        const job = { prompt, max_attempts: 10 };
        return journey.webhooks.submit(plans[at % plans.length] ?? [], job);
      }),
    );
    for (let kills = 0; kills < 3; kills++) {
      await sleep(300 + random() * 2_000);
      await killAndRestart();
    }
    const events = await Promise.all(
      jobs.map(async ({ id, path }) => {
        const ended = await journey.api.ended(id, 90_000);
        await journey.webhooks.deliveriesUntil(
          id,
          ([only]) => only?.status === "delivered",
          AFTER_A_KILL_MS,
        );
        const taken = await journey.webhooks.taken(path, 1);
        expectOneEvent(await journey.webhooks.taken(path, journey.receiver.at(path).length));
        return { ended, event: taken[0]?.event };
      }),
    );
    for (const { ended, event } of events) {
      expect(ended.status).toBe("completed");
      expect(event).toMatchObject({ type: "job.completed", data: ended });
    }
    // Once more, now that nothing is owed: nobody hears of anything.
    const received = journey.receiver.all.length;
    await killAndRestart();
    for (const { id } of jobs) {
      expect(await journey.webhooks.deliveries(id)).toMatchObject([{ status: "delivered" }]);
    }
    expect(journey.receiver.all).toHaveLength(received);
  }, 180_000);
});

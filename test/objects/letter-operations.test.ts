import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import type { CreateJob } from "../../src/schema/job.ts";
import { jobsThatAnswerAfter, Ledger, letterOf, lettersOf } from "./letters.ts";
import { DAY_MS, holdClock, job, logged, newName, passTime, queues } from "./support.ts";

holdClock({ ledgersToo: false });

/** The jobs' objects as they are when they cannot be reached, for the letters whose turn `fails`. */
function unreachableJobs(fails: (call: number) => boolean): Env["JOBS"] {
  let calls = 0;
  const getByName = (name: string) => {
    if (fails(++calls)) return { submit: () => Promise.reject(new Error("overloaded")) };
    return env.JOBS.getByName(name);
  };
  return { getByName } as unknown as Env["JOBS"];
}

describe("an operation", () => {
  it("sends all letters again, so many in a second, and says how far it is", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(10));
    const sent = queues.sent.length;
    const started = await ledger.desk.start("retry", { filter: {} }, 4);
    expect(started).toMatchObject({ action: "retry", matched: 10, done: 0, endedAt: null });
    const counts: number[] = [];
    for (let now = Date.now(); counts.at(-1) !== 10;) {
      await ledger.wake();
      counts.push((await ledger.desk.operation(started.operationId))?.done ?? 0);
      expect(Date.now() - now).toBeLessThanOrEqual(1_000);
      now = Date.now();
    }
    expect(counts).toEqual([4, 8, 10]);
    expect(await ledger.desk.operation(started.operationId)).toMatchObject({
      done: 10,
      refused: 0,
      errors: [],
      endedAt: Date.now(),
    });
    expect(await ledger.depth()).toBe(0);
    expect(queues.sent.slice(sent).map(({ to }) => to)).toEqual(Array(10).fill("LANE_HIGH"));
  });

  it("discards what the filter takes and nothing else", async () => {
    const ledger = new Ledger();
    await ledger.desk.add([...lettersOf(3, { tenant: "a" }), ...lettersOf(2, { tenant: "b" })]);
    const { operationId } = await ledger.desk.start("discard", { filter: { tenant: "a" } }, 100);
    await ledger.finish(operationId);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ matched: 3, done: 3 });
    expect((await ledger.all()).map(({ tenant }) => tenant)).toEqual(["b", "b"]);
  });

  it("on a thousand letters by their ids knows those that exist", async () => {
    const ledger = new Ledger();
    const letters = lettersOf(3);
    await ledger.desk.add(letters);
    const [first, second] = letters.map(({ dlqId }) => dlqId);
    const strangers = Array.from({ length: 998 }, (_, at) => `dlq_unknown${at}`);
    const ids = [first ?? "", ...strangers, second ?? ""];
    const { operationId, matched } = await ledger.desk.start("discard", { ids }, 1_000);
    expect(matched).toBe(2);
    await ledger.finish(operationId);
    expect(await ledger.all()).toMatchObject([{ dlqId: letters[2]?.dlqId }]);
  });

  it("touches only what was there when it was asked for, even if an id was free again", async () => {
    const ledger = new Ledger();
    const [old, newest] = [letterOf(), letterOf()];
    await ledger.desk.add([old, newest]);
    const { operationId } = await ledger.desk.start("discard", { filter: {} }, 1);
    await ledger.desk.discard(newest.dlqId);
    const late = letterOf({ failedAt: 1 });
    await ledger.desk.add([late]);
    await ledger.finish(operationId);
    expect(await ledger.all()).toMatchObject([{ dlqId: late.dlqId }]);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ matched: 2, done: 1 });
  });

  it("goes on after an eviction where it was, at any moment", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(7));
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 2);
    const sent = queues.sent.length;
    do {
      await ledger.evict();
      expect(await ledger.alarmAt()).not.toBeNull();
      await ledger.wake();
    } while ((await ledger.desk.operation(operationId))?.endedAt === null);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ done: 7, refused: 0 });
    expect(queues.sent).toHaveLength(sent + 7);
  });

  it("whose alarm was lost is taken up by whoever wakes the ledger next", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(1));
    const { operationId } = await ledger.desk.start("discard", { filter: {} }, 1);
    await ledger.inside((_, storage) => storage.deleteAlarm());
    await ledger.evict();
    await ledger.depth();
    await ledger.finish(operationId);
    expect(await ledger.depth()).toBe(0);
  });

  it("counts refusals without stopping, and leaves those letters", async () => {
    const ledger = new Ledger();
    const refused = lettersOf(3, { request: { prompt: "x", model: "off-the-list" } });
    const [first] = refused;
    await ledger.desk.add([...refused, ...lettersOf(2)]);
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 2);
    await ledger.finish(operationId);
    const operation = await ledger.desk.operation(operationId);
    expect(operation).toMatchObject({ matched: 5, done: 2, refused: 3 });
    const detail = expect.stringContaining("off-the-list") as string;
    expect(operation?.errors[0]).toEqual({ dlqId: first?.dlqId, detail });
    expect((await ledger.all()).map(({ model }) => model)).toHaveLength(3);
  });

  it("holds no more than about 4 MiB of large letters at a time, and keeps its rate and counts", async () => {
    const ledger = new Ledger();
    const large = lettersOf(9, { request: { prompt: "x".repeat(1_000_000) } });
    await ledger.desk.add(large);
    await ledger.desk.add(lettersOf(40));
    const submissions = { running: 0, most: 0 };
    const submit = async (_spec: unknown, { prompt = "" }: CreateJob) => {
      submissions.running += prompt.length;
      submissions.most = Math.max(submissions.most, submissions.running);
      await job(newName()).read(false);
      submissions.running -= prompt.length;
      return { type: "accepted" };
    };
    await ledger.configure({ JOBS: { getByName: () => ({ submit }) } });
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 49);
    expect(await ledger.finish(operationId)).toBe(1);
    const operation = await ledger.desk.operation(operationId);
    expect(operation).toMatchObject({ matched: 49, done: 49, refused: 0 });
    expect(submissions.most).toBeGreaterThan(1_000_000);
    expect(submissions.most).toBeLessThanOrEqual(4_194_304);
  });

  it.each([
    ["discarded", (ledger: Ledger, dlqId: string) => ledger.desk.discard(dlqId)],
    ["retried by its owner", (ledger: Ledger, dlqId: string) => ledger.desk.retried(dlqId, "new")],
    ["deleted with its job", (ledger: Ledger, dlqId: string) => ledger.desk.remove(dlqId)],
  ])("does not count a letter that is %s while its job is submitted", async (_, befall) => {
    const ledger = new Ledger();
    const letters = lettersOf(3);
    await ledger.desk.add(letters);
    const second = letters[1]?.dlqId ?? "";
    await ledger.configure({ JOBS: jobsThatAnswerAfter(() => befall(ledger, second)) });
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 100);
    await ledger.finish(operationId);
    const operation = await ledger.desk.operation(operationId);
    expect(operation).toMatchObject({ matched: 3, done: 2, refused: 0, errors: [] });
    expect(await ledger.depth()).toBe(0);
  });

  it("neither counts nor waits for a letter that goes while its job cannot be reached", async () => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    const submit = async () => {
      await ledger.desk.discard(letter.dlqId);
      throw new Error("overloaded");
    };
    await ledger.configure({ JOBS: { getByName: () => ({ submit }) } });
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 100);
    expect(await ledger.finish(operationId)).toBe(1);
    const operation = await ledger.desk.operation(operationId);
    expect(operation).toMatchObject({ matched: 1, done: 0, refused: 0 });
  });

  it("waits for a job that cannot be reached and loses nothing by it", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(6));
    await ledger.configure({ JOBS: unreachableJobs((call) => call === 3 || call === 5) });
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 100);
    expect(await ledger.finish(operationId)).toBe(2);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ done: 6, refused: 0 });
    expect(await ledger.depth()).toBe(0);
  });

  it("gives up letters whose jobs stay unreachable, which stay", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(2));
    await ledger.configure({ JOBS: unreachableJobs(() => true) });
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 100);
    await ledger.finish(operationId);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ done: 0, refused: 2 });
    expect(await ledger.depth()).toBe(2);
  });

  it("runs beside others, each at its own rate, and no letter goes both ways", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(9));
    const slow = await ledger.desk.start("retry", { filter: {} }, 1);
    const fast = await ledger.desk.start("discard", { filter: {} }, 3);
    await ledger.finish(slow.operationId);
    await ledger.finish(fast.operationId);
    const done = await Promise.all(
      [slow, fast].map(async ({ operationId }) => (await ledger.desk.operation(operationId))?.done),
    );
    expect(done.reduce<number>((sum, count) => sum + (count ?? 0), 0)).toBe(9);
    expect(done[1]).toBeGreaterThan(done[0] ?? 0);
  });

  it("is forgotten a week after its end", async () => {
    const ledger = new Ledger();
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 1);
    await ledger.finish(operationId);
    passTime(7 * DAY_MS - 1);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ matched: 0 });
    await ledger.wake();
    expect(await ledger.desk.operation(operationId)).toBeNull();
  });
});

describe("the alarm", () => {
  it("never throws: what failed is logged, tried again soon, and holds up nothing else", async () => {
    const ledger = new Ledger();
    await ledger.desk.add(lettersOf(2));
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 1);
    await ledger.configure({ LEASE_SECONDS: "never" });
    vi.setSystemTime(Date.now() + 1);
    logged.length = 0;
    await runDurableObjectAlarm(ledger.object);
    expect(logged.join()).toContain("alarm.failed");
    expect(await ledger.alarmAt()).toBe(Date.now() + 5_000);
    await ledger.configure({ LEASE_SECONDS: "60" });
    await ledger.finish(operationId);
    expect(await ledger.desk.operation(operationId)).toMatchObject({ done: 2, refused: 0 });
  });

  it("that cannot even read what is due comes again", async () => {
    const ledger = new Ledger();
    await ledger.desk.start("retry", { filter: {} }, 1);
    await ledger.inside((_, { sql }) => sql.exec("DROP TABLE operation").toArray());
    await runDurableObjectAlarm(ledger.object);
    expect(await ledger.alarmAt()).toBe(Date.now() + 5_000);
  });
});

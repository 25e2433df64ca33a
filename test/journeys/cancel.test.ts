import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectWholeLog, textOf } from "../support/api.ts";
import {
  answerOf,
  freshPrompt,
  startProcessJourney,
  type ProcessJourney,
} from "../support/journey.ts";
import type { Call } from "../support/provider-server.ts";
import { seeded } from "../support/random.ts";
import { seedOfRun } from "../support/run-seed.ts";

let journey: ProcessJourney;
beforeAll(async () => {
  // The product's own pulse of 1 s: that is what bounds how long a cancelled call lives on.
  journey = await startProcessJourney({ PULSE_MS: "1000" });
});
afterAll(() => journey.close());

/** Waits for the provider to see that the other end has left it. */
function hungUp(called: Call): Promise<Call> {
  return journey.provider.waitForCall((call) => call === called && call.closedEarlyAt !== null);
}

const CANCELLED = {
  status: "cancelled",
  reason: expect.any(String),
  cancelled_at: expect.any(String),
  retained_until: expect.any(String),
};

describe("cancelling", () => {
  it("F37: a job that is not yet due ends it, and no call is ever made", async () => {
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({ prompt, delay_seconds: 1 });
    expect(await journey.api.cancel(job_id)).toMatchObject({ ...CANCELLED, attempts_made: 0 });
    // A job that falls due later shows that the first one's time has passed.
    const { job_id: later } = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 2 });
    await journey.api.ended(later);
    expect(journey.provider.callsFor(prompt)).toEqual([]);
    expect((await journey.api.log(job_id)).map(({ type }) => type)).toEqual([
      "queued",
      "cancelled",
    ]);
  });

  it.each([
    ["watched", true],
    ["unwatched", false],
  ])("a streaming job that is %s closes the provider's connection", async (_, watched) => {
    const prompt = freshPrompt("[tokens=1000 every=20]");
    const { job_id } = await journey.api.submit({ prompt });
    const log = watched ? journey.api.log(job_id) : null;
    const called = await journey.provider.waitForCall((call) => call.prompt === prompt);
    await journey.api.readUntil(job_id, ({ partial_output = "" }) => partial_output !== "", {
      query: "?include=partial_output",
    });
    const job = await journey.api.cancel(job_id);
    expect(job).toMatchObject({ ...CANCELLED, attempts_made: 1 });
    expect(job.partial_output).not.toBe("");
    expect(answerOf(called, 1_000).startsWith(job.partial_output ?? "?")).toBe(true);
    expect(job.usage).toMatchObject({
      completion_tokens: Math.ceil((job.partial_output ?? "").length / 4),
      estimated: true,
    });
    expect(job).toMatchObject({ cost_usd: null, wasted_cost_usd: expect.any(Number) });
    expect(job.wasted_cost_usd).toBeGreaterThan(0);
    await hungUp(called);
    const events = await (log ?? journey.api.log(job_id));
    expectWholeLog(events);
    expect(events.at(-1)).toMatchObject({ type: "cancelled", reason: job.reason });
    expect(textOf(events)).toBe(job.partial_output);
    expect(await journey.api.read(job_id, "?include=partial_output")).toEqual(job);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });

  it.each([
    ["whose provider has not answered yet", "[hang]"],
    ["whose provider has fallen silent", "[silent=3]"],
  ])("a job %s closes its connection too", async (_, fault) => {
    const prompt = freshPrompt(fault);
    const { job_id } = await journey.api.submit({ prompt });
    const called = await journey.provider.waitForCall((call) => call.prompt === prompt);
    const job = await journey.api.cancel(job_id);
    expect(job).toMatchObject({ ...CANCELLED, attempts_made: 1, usage: { estimated: true } });
    await hungUp(called);
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    expect(textOf(log)).toBe(job.partial_output);
    expect(await journey.api.read(job_id, "?include=partial_output")).toEqual(job);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });

  it("a job that waits for its next attempt ends it: the attempt is never made", async () => {
    const prompt = freshPrompt("[status=429 retry-after=2 x1]");
    const { job_id } = await journey.api.submit({ prompt });
    const waiting = await journey.api.readUntil(job_id, ({ retry_at }) => retry_at !== undefined);
    expect(waiting).toMatchObject({ status: "queued", attempts_made: 1 });
    const job = await journey.api.cancel(job_id);
    // The provider refused the one call there was: nothing was said and nothing is billed.
    expect(job).toMatchObject({ ...CANCELLED, attempts_made: 1, wasted_cost_usd: 0 });
    expect(job).toMatchObject({ usage: { total_tokens: 0 }, partial_output: "" });
    // Another job with the same wait, begun later, shows that the first one's has passed.
    const other = freshPrompt("[status=429 retry-after=2 x1]");
    const { job_id: later } = await journey.api.submit({ prompt: other });
    expect(await journey.api.ended(later)).toMatchObject({ status: "completed" });
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
    expectWholeLog(await journey.api.log(job_id));
  });

  it("by deleting the job closes the provider's connection too, and its reader hears of the end", async () => {
    const prompt = freshPrompt("[tokens=1000 every=20]");
    const { job_id } = await journey.api.submit({ prompt });
    const log = journey.api.log(job_id);
    const called = await journey.provider.waitForCall((call) => call.prompt === prompt);
    await journey.api.firstEvent(job_id, ({ type }) => type === "delta");
    await journey.api.delete(job_id);
    await hungUp(called);
    const events = await log;
    expectWholeLog(events);
    expect(events.at(-1)?.type).toBe("cancelled");
    expect((await journey.api.fetch(`/api/jobs/${job_id}`)).status).toBe(410);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });

  it("F37: twice, or twenty times at once, is cancelling once", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=500 every=20]") });
    await journey.api.readUntil(job_id, ({ status }) => status === "active");
    const answers = await Promise.all(Array.from({ length: 20 }, () => journey.api.cancel(job_id)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await journey.api.cancel(job_id)).toEqual(answers[0]);
    expectWholeLog(await journey.api.log(job_id));
  });

  it.each([
    ["completed", ""],
    ["failed", "[status=400]"],
  ])("a job that has %s leaves it as it is", async (status, fault) => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt(fault) });
    const ended = await journey.api.ended(job_id);
    expect(ended.status).toBe(status);
    expect(await journey.api.cancel(job_id)).toEqual(ended);
    expect(await journey.api.read(job_id)).toEqual(ended);
    expectWholeLog(await journey.api.log(job_id));
  });

  it("F37: at any moment of forty jobs leaves each with one end, the one it was answered (invariant 1)", async () => {
    const random = seeded(seedOfRun());
    const jobs = Array.from({ length: 40 }, async (_, index) => {
      const prompt = freshPrompt("[tokens=20 every=15]");
      const follows = index % 2 === 0;
      await sleep(random() * 500);
      const { job_id } = await journey.api.submit({ prompt });
      const live = follows ? journey.api.log(job_id) : null;
      await sleep(random() * 2_000);
      const answer = await journey.api.cancel(job_id);
      expect(["cancelled", "completed"]).toContain(answer.status);
      const log = await journey.api.log(job_id);
      expectWholeLog(log);
      expect(log.at(-1)?.type).toBe(answer.status);
      expect((await journey.api.read(job_id)).status).toBe(answer.status);
      if (live !== null) expect(await live).toEqual(log);
      const calls = journey.provider.callsFor(prompt);
      expect(calls.length).toBeLessThanOrEqual(1);
      const whole = calls[0] === undefined ? "" : answerOf(calls[0], 20);
      if (answer.status === "completed") expect(answer.result?.content).toBe(whole);
      else expect(whole.startsWith(textOf(log))).toBe(true);
      return answer.status;
    });
    const ends = await Promise.all(jobs);
    expect(new Set(ends)).toEqual(new Set(["cancelled", "completed"]));
  });
});

describe("a client that goes away", () => {
  it("F34: while it follows its job cancels nothing", async () => {
    const prompt = freshPrompt("[tokens=40 every=20]");
    const { job_id } = await journey.api.submit({ prompt });
    await journey.api.firstEvent(job_id, ({ type }) => type === "delta");
    const job = await journey.api.ended(job_id);
    const call = journey.provider.callsFor(prompt)[0];
    expect(job.result?.content).toBe(answerOf(call ?? { id: 0 }, 40));
    expect(call).toMatchObject({ closedEarlyAt: null, finished: true });
  });

  it("F34: before it hears of its submission leaves a whole job or none, and its key tells which (invariants 2 and 6)", async () => {
    const random = seeded(seedOfRun());
    const jobs = Array.from({ length: 20 }, async (_, index) => {
      const [key, prompt] = [`left-${index}`, freshPrompt()];
      await sleep(random() * 500);
      const left = new AbortController();
      const headers = { "content-type": "application/json", "idempotency-key": key };
      const asked = journey.api.fetch("/api/jobs", {
        method: "POST",
        body: JSON.stringify({ prompt }),
        headers,
        signal: left.signal,
      });
      await Promise.race([sleep(random() * 20), asked.catch(() => {})]);
      left.abort();
      await asked.catch(() => {});
      expect([200, 202]).toContain((await journey.api.send({ prompt }, key)).status);
      expect(await journey.api.ended(key)).toMatchObject({ status: "completed", attempts_made: 1 });
      expectWholeLog(await journey.api.log(key));
      expect(journey.provider.callsFor(prompt)).toHaveLength(1);
    });
    await Promise.all(jobs);
  });
});

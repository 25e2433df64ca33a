import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { AttemptView } from "../../src/schema/job.ts";
import {
  ANSWER,
  CLAUDE,
  completed,
  COST,
  deadLetter,
  events,
  GPT,
  holdClock,
  job,
  lease,
  leased,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  REPORT,
  REQUEST,
  stored,
  submitted,
  view,
} from "./support.ts";

holdClock();

const ESTIMATE = {
  prompt_tokens: 12,
  completion_tokens: 25,
  total_tokens: 37,
  estimated: true,
};
/** 12 tokens at $2.50 and 25 at $10 a million. */
const ESTIMATED_COST = 0.00028;
const TEXT = "x".repeat(100);

async function attempts(name: string): Promise<AttemptView[]> {
  const found = await job(name).attempts();
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

describe("what a stopped call came to", () => {
  it("is in the answer to its cancellation, as likely as it can be told (invariant 10)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, TEXT));
    const { type, ...rest } = await job(name).cancel("enough");
    expect({ type, ...rest }).toMatchObject({
      type: "found",
      value: {
        status: "cancelled",
        partial_output: TEXT,
        usage: ESTIMATE,
        cost_usd: null,
        wasted_cost_usd: ESTIMATED_COST,
      },
    });
  });

  it("gives way to what its consumer tells, once, and changes nothing else (invariant 10)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, TEXT));
    await job(name).cancel("enough");
    const before = [await events(name), (await stored(name)).alarm];
    await job(name).account(token, REPORT);
    await job(name).account(token, { ...REPORT, usage: null, taken: false });
    expect(await view(name)).toMatchObject({ usage: ANSWER.usage, wasted_cost_usd: COST });
    await evictDurableObject(objectOf(name));
    expect(await view(name, true)).toMatchObject({
      usage: ANSWER.usage,
      wasted_cost_usd: COST,
      partial_output: TEXT,
    });
    expect([await events(name), (await stored(name)).alarm]).toEqual(before);
  });

  it("counts what it had shown and not appended, when it is cancelled, deleted or lost", async () => {
    for (const end of [
      (name: string): Promise<unknown> => job(name).cancel("enough"),
      async () => passTime(60_000),
    ]) {
      const name = await submitted();
      const { token } = await leased(name);
      await job(name).pulse(token, partOf(0, TEXT));
      await end(name);
      await job(name).read(false);
      expect((await attempts(name))[0]?.usage).toEqual(ESTIMATE);
    }
  });

  it("counts all that came in an attempt that failed, appended or not (invariant 10)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, { ...REPORT, usage: null, answerBytes: 100 });
    expect((await attempts(name))[0]).toMatchObject({ usage: ESTIMATE, cost_usd: ESTIMATED_COST });
  });

  it.each<[string, (name: string, token: string) => Promise<unknown>]>([
    ["an answer", (name, token) => job(name).complete(token, partOf(0, ""), ANSWER, REPORT)],
    ["a failure", (name, token) => job(name).fail(token, OUTAGE, REPORT)],
  ])("is known from %s that comes too late to count", async (_, report) => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).cancel("enough");
    const before = await events(name);
    await report(name, token);
    expect(await view(name)).toMatchObject({
      status: "cancelled",
      usage: ANSWER.usage,
      wasted_cost_usd: COST,
    });
    expect(await events(name)).toEqual(before);
  });

  it("is told of an attempt that stalled while another runs, and disturbs that one not (invariant 3)", async () => {
    const name = await submitted();
    const { token: stalled } = await leased(name);
    await job(name).append(stalled, partOf(0, TEXT));
    passTime(60_000);
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    expect((await attempts(name))[0]).toMatchObject({
      status: "failed",
      error_code: "stalled",
      usage: ESTIMATE,
    });
    await job(name).account(stalled, REPORT);
    expect(await job(name).append(token, partOf(1, "scattering."))).toMatchObject({ go: true });
    await job(name).complete(token, partOf(2, ""), ANSWER, REPORT);
    expect(await view(name)).toMatchObject({
      result: { content: "Rayleigh scattering." },
      cost_usd: COST,
      wasted_cost_usd: COST,
    });
  });

  it("is nothing where the provider had not taken it on", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).cancel("enough");
    expect((await view(name)).wasted_cost_usd).toBeGreaterThan(0);
    await job(name).account(token, { ...REPORT, usage: null, taken: false });
    expect(await view(name)).toMatchObject({ wasted_cost_usd: 0, usage: { total_tokens: 0 } });
  });
});

describe("the calls of a job", () => {
  it("are listed in their order, each with its model, its end and its cost", async () => {
    const name = await submitted({ routes: [GPT, CLAUDE], maxAttempts: 1 });
    const { token } = await leased(name);
    passTime(1_000);
    await job(name).fail(token, OUTAGE, { ...REPORT, usage: null, taken: false });
    await completed(name, "Because.");
    expect(await attempts(name)).toMatchObject([
      { attempt: 1, model: "gpt-4o", status: "failed", usage: null, cost_usd: 0 },
      { attempt: 2, model: "claude", status: "completed", cost_usd: 0.000459 },
    ]);
    expect(JSON.stringify(await attempts(name))).not.toContain(token);
  });

  it("are none before there was one", async () => {
    expect(await attempts(await submitted())).toEqual([]);
  });

  it("are not only the current attempt's after a crash", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, REPORT);
    const before = await attempts(name);
    await evictDurableObject(objectOf(name));
    expect(await attempts(name)).toEqual(before);
  });
});

describe("what a job is submitted again from", () => {
  it("is its request, whose it is, and its letter's id, whether or not it has a letter", async () => {
    const name = await submitted({ uid: "uid-of-source", tier: "pro" });
    const origin = {
      jobId: "test-123",
      dlqId: "dlq_uid-of-source",
      tenant: "acme",
      tier: "pro",
      request: REQUEST,
    };
    expect(await job(name).source()).toEqual({
      type: "found",
      value: { status: "queued", origin },
    });
    await deadLetter(name);
    expect(await job(name).source()).toEqual({
      type: "found",
      value: { status: "failed", origin },
    });
    expect((await view(name)).dlq_id).toBe(origin.dlqId);
  });
});

describe("the bounds of a job", () => {
  it("are its stalls: one more than it may have gives it up (invariant 3)", async () => {
    const name = await submitted({ maxAttempts: 10, maxStalls: 2 });
    for (const _stall of [1, 2, 3]) {
      await leased(name);
      passTime(60_000);
    }
    expect(await lease(name)).toEqual({ type: "ignore" });
    await deadLetter(name);
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "stalled",
      attempts_made: 3,
    });
  });

  it("are its whole time: an attempt that runs is ended by it, and none begins (invariants 2 and 3)", async () => {
    const name = await submitted({ endBy: Date.now() + 90_000, timeoutMs: 600_000 });
    const { token } = await leased(name);
    for (const part of [0, 1]) {
      passTime(44_000);
      expect(await job(name).append(token, partOf(part, TEXT))).toMatchObject({ go: true });
    }
    passTime(2_000);
    expect(await job(name).append(token, partOf(2, "late"))).toMatchObject({ go: false });
    expect(await lease(name)).toEqual({ type: "ignore" });
    expect((await events(name)).at(-1)).toMatchObject({
      type: "attempt_failed",
      error_code: "timeout",
      retry_at: null,
    });
    await deadLetter(name);
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "timeout",
      error: "The job ran out of its time",
    });
  });

  it("leave no room for an attempt that would begin behind them", async () => {
    const name = await submitted({ endBy: Date.now() + 4_000, startBy: Date.now() + 3_000 });
    const { token } = await leased(name);
    expect(await job(name).fail(token, OUTAGE, REPORT)).toEqual({ type: "ack" });
    expect((await events(name)).at(-1)).toMatchObject({ retry_at: null });
  });
});

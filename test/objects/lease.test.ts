import { describe, expect, it } from "vitest";

import {
  ANSWER,
  COST,
  events,
  GPT,
  holdClock,
  job,
  lease,
  leased,
  OUTAGE,
  page,
  partOf,
  passTime,
  queues,
  REPORT,
  stored,
  submitted,
  typesOf,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const LEASE_MS = 60_000;
const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 };

describe("the lease", () => {
  it("goes to one of fifty consumers that ask at once (invariant 3)", async () => {
    const name = await submitted();
    const grants = await Promise.all(Array.from({ length: 50 }, () => lease(name)));
    expect(grants.filter(({ type }) => type === "leased")).toHaveLength(1);
    expect(grants.filter(({ type }) => type === "ignore")).toHaveLength(49);
    expect(await typesOf(name)).toEqual(["queued", "started", "progress"]);
  });

  it("is refused while another lives, however long that one works (invariant 3)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    for (let second = 0; second <= 120; second += 30) {
      expect(await job(name).append(token, partOf(0, ""))).toMatchObject({ go: true });
      expect(await lease(name)).toEqual({ type: "ignore" });
      passTime(30_000);
    }
    expect((await view(name)).attempts_made).toBe(1);
  });

  it("cannot be kept alive for longer than the attempt's own time and one lease", async () => {
    const name = await submitted({ timeoutMs: 90_000 });
    const { token } = await leased(name);
    for (let second = 0; second < 150; second += 30) {
      expect(await job(name).append(token, partOf(0, ""))).toMatchObject({ go: true });
      passTime(30_000);
    }
    expect(await job(name).append(token, partOf(0, ""))).toMatchObject({ go: false });
  });

  it("once run out, ends the attempt as stalled and rings for the next (invariant 2)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Half an ans"));
    await wakeWhenDue(name);
    while ((await view(name)).status === "active") await wakeWhenDue(name);
    expect((await events(name)).at(-1)).toMatchObject({
      type: "attempt_failed",
      attempt: 1,
      error_code: "stalled",
      retry_at: new Date().toISOString(),
    });
    expect(queues.to(name)).toEqual(["LANE_NORMAL", "LANE_NORMAL"]);
    expect((await leased(name)).token).not.toBe(token);
    expect((await view(name)).attempts_made).toBe(2);
  });

  it("is over when its time is over, though the alarm be late (invariant 3)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    passTime(LEASE_MS);
    expect(await job(name).append(token, partOf(0, "too late"))).toMatchObject({ go: false });
    expect(await lease(name)).toMatchObject({ type: "leased" });
    expect(await typesOf(name)).toEqual([
      "queued",
      "started",
      "progress",
      "attempt_failed",
      "started",
      "progress",
    ]);
  });

  it("is the same lease for the consumer that asks again, for its answer may be lost", async () => {
    const name = await submitted();
    const token = crypto.randomUUID();
    const first = await job(name).lease(token);
    expect(await job(name).lease(token)).toEqual(first);
    expect((await view(name)).attempts_made).toBe(1);
    expect(await job(name).append(token, partOf(0, "Mine."))).toMatchObject({ go: true });
    passTime(LEASE_MS);
    await lease(name);
    expect(await job(name).lease(token)).toEqual({ type: "ignore" });
  });

  it("gives the consumer the request, the model and the time it has", async () => {
    const name = await submitted({ timeoutMs: 12_345 });
    expect(await lease(name)).toEqual({
      type: "leased",
      route: GPT,
      request: { prompt: "Why is the sky blue?" },
      timeoutMs: 12_345,
      watched: false,
    });
  });
});

describe("a stale token", () => {
  it("F16: changes nothing that is stored, whatever it asks for (invariant 3)", async () => {
    const name = await submitted();
    const { token: stale } = await leased(name);
    passTime(LEASE_MS);
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Mine."));
    const before = await stored(name);
    // What its own call came to is all that would be heard of it (accounts.test.ts).
    const report = { ...REPORT, usage: null };
    for (const foreign of [stale, crypto.randomUUID(), ""]) {
      expect(await job(name).append(foreign, partOf(1, "Not mine."))).toMatchObject({ go: false });
      await job(name).complete(foreign, partOf(1, "Not mine."), ANSWER, report);
      await job(name).fail(foreign, OUTAGE, report);
    }
    expect(await stored(name)).toEqual(before);
  });

  it("F16: cannot complete a job for a zombie, whose text is in no answer (invariants 3 and 5)", async () => {
    const name = await submitted();
    const { token: zombie } = await leased(name);
    await job(name).append(zombie, partOf(0, "Brains. "));
    passTime(LEASE_MS);
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    await job(name).complete(zombie, partOf(1, "More brains."), ANSWER, REPORT);
    expect((await view(name)).status).toBe("active");
    await job(name).complete(token, partOf(1, "scattering."), ANSWER, REPORT);
    expect((await view(name)).result?.content).toBe("Rayleigh scattering.");
  });
});

describe("text", () => {
  it("that is sent twice is stored once (invariant 5)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    for (const [part, text] of [
      [0, "One "],
      [0, "One "],
      [1, "two "],
      [0, "One "],
      [1, "two "],
    ] as const) {
      expect(await job(name).append(token, partOf(part, text))).toMatchObject({ go: true });
    }
    await job(name).append(token, partOf(2, "three."));
    await job(name).complete(token, partOf(2, "three."), ANSWER, REPORT);
    expect((await view(name)).result?.content).toBe("One two three.");
  });

  it("that skips a part is refused, and so is an end behind a gap (invariant 5)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "One "));
    const before = await stored(name);
    expect(await job(name).append(token, partOf(2, "three."))).toMatchObject({ go: false });
    await job(name).complete(token, partOf(2, "three."), ANSWER, REPORT);
    expect(await stored(name)).toEqual(before);
  });

  it("that is empty is a pulse: it asks and stores nothing", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const before = await stored(name);
    expect(await job(name).append(token, partOf(0, ""))).toEqual({ go: true, watched: false });
    expect(await stored(name)).toEqual(before);
  });

  it("is shown so far while the attempt runs, to who asks for it", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    expect((await view(name, true)).partial_output).toBe("Rayleigh ");
    expect(await view(name)).not.toHaveProperty("partial_output");
  });
});

describe("a cancellation", () => {
  it("is heard by the running attempt at its next report, and nothing comes after (invariant 1)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    const cancelled = await job(name).cancel("by the caller");
    expect(cancelled).toMatchObject({
      type: "found",
      value: { status: "cancelled", reason: "by the caller", partial_output: "Rayleigh " },
    });
    expect(await job(name).append(token, partOf(1, "scattering"))).toMatchObject({ go: false });
    await job(name).complete(token, partOf(1, "scattering."), ANSWER, REPORT);
    expect((await view(name)).status).toBe("cancelled");
    expect((await events(name)).at(-1)?.type).toBe("cancelled");
  });

  it("F37: that meets completions at the same time leaves one end (invariant 1)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await Promise.all([
      job(name).complete(token, partOf(0, "Done."), ANSWER, REPORT),
      job(name).cancel("now"),
      job(name).complete(token, partOf(0, "Done."), ANSWER, REPORT),
      job(name).cancel("now"),
    ]);
    const ends = (await typesOf(name)).filter(
      (type) => type === "completed" || type === "cancelled",
    );
    expect(ends).toHaveLength(1);
  });
});

describe("usage and cost", () => {
  it("are counted once for every call that happened, the wasted ones apart (invariant 10)", async () => {
    const name = await submitted();
    const first = await leased(name);
    const wasted = { ...REPORT, usage };
    await job(name).fail(first.token, OUTAGE, wasted);
    await job(name).fail(first.token, OUTAGE, wasted);
    passTime(10_000);
    const { token } = await leased(name);
    await job(name).complete(token, partOf(0, "Done."), ANSWER, REPORT);
    await job(name).complete(token, partOf(0, "Done."), ANSWER, REPORT);
    // 10 tokens in and 20 out, at $2.50 and $10 a million.
    expect(await view(name)).toMatchObject({ cost_usd: COST, wasted_cost_usd: 0.000225 });
    expect((await page(name, 0)).lastSeq).toBe((await events(name)).length);
  });
});

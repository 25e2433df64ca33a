import { describe, expect, it } from "vitest";

import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { OverloadWorld } from "./overload-world.ts";
import { mostInAMinute, PermitWorld, MESSAGE_MS, type Simulated } from "./permit-world.ts";

const LIMIT = 600;
/** How often a permit accrues. */
const APART_MS = MINUTE / 541;

const waits = (jobs: Simulated[]) => jobs.map(({ at, calledAt }) => calledAt - at);
const calls = (jobs: Simulated[]) =>
  jobs.map(({ calledAt }) => calledAt).filter((at) => at < Infinity);

describe("of ten thousand jobs that one tenant has queued", () => {
  const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 5_000 });
  world.submit("low", "flood", 10_000);
  const others = Array.from({ length: 20 }, (_, at) =>
    world.submit("low", `other-${at}`, 1, { fromMs: (at + 1) * 10 * SECOND }),
  ).flat();
  const better = world.submit("high", "enterprise", 40, { fromMs: 5 * SECOND, everyMs: 5_100 });
  world.run(5 * MINUTE);

  it("another's job in the same lane waits for two at most, and its two messages", () => {
    expect(Math.max(...waits(others))).toBeLessThanOrEqual(2 * MESSAGE_MS + 3 * APART_MS);
  });

  it("an enterprise job waits for less than one running job's time: one permit, and its messages", () => {
    expect(Math.max(...waits(better))).toBeLessThanOrEqual(2 * MESSAGE_MS + 2 * APART_MS);
    const atOnce = waits(better).filter((ms) => ms <= MESSAGE_MS);
    expect(atOnce.length).toBeGreaterThan(better.length * 0.9);
  });

  it("no minute has more calls than the provider allows, and few fewer", () => {
    const all = calls(world.jobs);
    expect(mostInAMinute(all)).toBeLessThanOrEqual(LIMIT);
    expect(all.length).toBeGreaterThan(5 * LIMIT * 0.88);
  });
});

describe("while enterprise floods", () => {
  const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 2_000 });
  world.submit("high", "enterprise", 10_000);
  const free = world.submit("low", "free", 1_000);
  const pro = world.submit("normal", "pro", 1_000);
  world.run(5 * MINUTE);

  it("free jobs still run: a thirteenth of all, their share", () => {
    const share = calls(free).length / calls(world.jobs).length;
    expect(share).toBeGreaterThan(0.06);
    expect(share).toBeLessThan(0.1);
  });

  it("and so do those in between, four times as many", () => {
    const ratio = calls(pro).length / calls(free).length;
    expect(ratio).toBeGreaterThan(3.5);
    expect(ratio).toBeLessThan(4.5);
  });

  it("no minute has more calls than the provider allows", () => {
    expect(mostInAMinute(calls(world.jobs))).toBeLessThanOrEqual(LIMIT);
  });
});

describe("a lane whose consumers are all busy", () => {
  it("keeps no permits from the others", () => {
    const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 10 * MINUTE });
    world.submit("low", "flood", 3_000);
    const better = world.submit("normal", "other", 100, { fromMs: MINUTE, everyMs: SECOND });
    world.run(4 * MINUTE);
    expect(Math.max(...waits(better))).toBeLessThanOrEqual(2 * MESSAGE_MS + 3 * APART_MS);
  });
});

describe("tenants of one lane", () => {
  it("share it alike, however many jobs each has queued", () => {
    const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 1_000 });
    const [many, some, few] = [
      world.submit("normal", "many", 6_000),
      world.submit("normal", "some", 1_000),
      world.submit("normal", "few", 500),
    ];
    world.run(2 * MINUTE);
    const counts = [many, some, few].map((jobs) => calls(jobs).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(80);
  });
});

/** What an object answers in a second (platform limit). */
const CAPACITY = 1_000;

describe("a million calls a minute", () => {
  it("take the desk fewer than five hundred words a second, once blocks have grown", () => {
    const sources = [{ tenant: "t", perSecond: 14_700 }];
    const world = new OverloadWorld({ isolates: 250, limit: 1_000_000, sources });
    world.run(5 * SECOND);
    expect(world.calls.length).toBeGreaterThan(70_000);
    expect(world.heard.length / 5).toBeLessThan(CAPACITY);
    expect(world.heard.filter((at) => at > NOW + 2 * SECOND).length / 3).toBeLessThan(500);
  });
});

/** The calls from then on, in a second, as a share of what the provider allows in one. */
function shareOf({ calls, now }: OverloadWorld, limit: number, fromMs: number): number {
  const late = calls.filter(({ at }) => at >= NOW + fromMs);
  return late.length / (limit * ((now - NOW - fromMs) / MINUTE));
}

describe("with half as much again as the provider allows", () => {
  const SETTLED_MS = 15 * SECOND;

  it.each([
    ["50 calls a second", 3_000, 20 * SECOND],
    ["300 calls a second", 18_000, 60 * SECOND],
    ["1,000 calls a second", 60_000, 65 * SECOND],
    ["5,000 calls a second", 300_000, 20 * SECOND],
  ])(
    "%s are made all the time, with one object that answers a thousand words",
    { timeout: 60_000 },
    (_, limit, ms) => {
      const sources = [{ tenant: "t", perSecond: (1.5 * limit) / 60 }];
      const world = new OverloadWorld({ isolates: 100, limit, sources, capacity: CAPACITY });
      world.run(ms);
      expect(shareOf(world, limit, SETTLED_MS)).toBeGreaterThan(0.85);
      expect(shareOf(world, limit, ms - 5 * SECOND)).toBeGreaterThan(0.85);
      expect(mostInAMinute(world.calls.map(({ at }) => at))).toBeLessThanOrEqual(limit);
      const settled = world.heard.filter((at) => at >= NOW + SETTLED_MS).length;
      expect(settled / ((ms - SETTLED_MS) / SECOND)).toBeLessThan(CAPACITY / 2);
    },
  );

  it(
    "lanes have their turns, and tenants share, as if each job were asked for alone",
    { timeout: 60_000 },
    () => {
      const limit = 60_000;
      const sources = [
        { lane: "high", tenant: "enterprise", perSecond: 1_000 },
        { lane: "low", tenant: "flood", perSecond: 500 },
        { lane: "low", tenant: "small", perSecond: 20 },
      ] as const;
      const world = new OverloadWorld({
        isolates: 100,
        limit,
        sources: [...sources],
        capacity: CAPACITY,
      });
      world.run(40 * SECOND);
      const late = world.calls.filter(({ at }) => at >= NOW + SETTLED_MS);
      const low = late.filter(({ lane }) => lane === "low");
      expect(low.length / late.length).toBeGreaterThan(1 / 9 - 0.02);
      expect(low.length / late.length).toBeLessThan(1 / 9 + 0.02);
      const small = low.filter(({ tenant }) => tenant === "small");
      expect(small.length / ((40 * SECOND - SETTLED_MS) / SECOND)).toBeGreaterThan(18);
      const waits = small.map(({ at, since }) => at - since).toSorted((a, b) => a - b);
      expect(waits[Math.floor(waits.length * 0.95)]).toBeLessThan(3 * MESSAGE_MS);
    },
  );
});

import { describe, expect, it } from "vitest";

import { MINUTE, SECOND } from "./fixtures.ts";
import {
  CONCURRENCY,
  ENDLESS,
  LEASE_MS,
  MESSAGE_MS,
  mostAtOnce,
  PermitWorld,
  type Simulated,
} from "./permit-world.ts";

/** As much as one likes: nothing but the consumers holds anybody up. */
const UNLIMITED = { requests: null, tokens: null };
const CALL_MS = 30 * SECOND;

const waits = (jobs: Simulated[]) => jobs.map(({ at, calledAt }) => calledAt - at);
const called = (jobs: Simulated[]) => jobs.filter(({ calledAt }) => calledAt < Infinity);

/** Ten thousand jobs of one tenant, and now and then one of another's, of a provider without a limit. */
function flooded(concurrency = CONCURRENCY) {
  const world = new PermitWorld(UNLIMITED, { callMs: CALL_MS, concurrency });
  const flood = world.submit("normal", "flood", 10_000);
  const others = Array.from({ length: 20 }, (_, at) =>
    world.submit("normal", `other-${at}`, 1, { fromMs: (at + 1) * 7 * SECOND }),
  ).flat();
  const enterprise = world.submit("high", "enterprise", 40, { fromMs: SECOND, everyMs: 4_100 });
  world.run(5 * MINUTE);
  return { world, flood, others, enterprise };
}

describe("of ten thousand jobs that one tenant has queued, without a limit of the provider,", () => {
  const { world, flood, others, enterprise } = flooded();

  it("another's job in the same lane waits for one call at most, and its two messages", () => {
    expect(Math.max(...waits(others))).toBeLessThanOrEqual(CALL_MS + 2 * MESSAGE_MS);
  });

  it("an enterprise job waits for its message", () => {
    expect(Math.max(...waits(enterprise))).toBeLessThanOrEqual(MESSAGE_MS);
  });

  it("so many are called at once as the lane may, and hardly fewer", () => {
    expect(mostAtOnce([...flood, ...others])).toBe(CONCURRENCY.normal);
    const most = (CONCURRENCY.normal * 5 * MINUTE) / CALL_MS;
    expect(called(flood).length).toBeGreaterThan(most * 0.9);
  });

  it("a job costs three questions and answers at most", () => {
    const parked = flood.length + others.length - CONCURRENCY.normal;
    const calls = called(world.jobs).length;
    expect(world.asked).toBeLessThan(parked + 2.2 * calls);
  });

  it("all would go before it if the lane's places were not counted", () => {
    expect(called(flooded(ENDLESS).others)).toEqual([]);
  });
});

describe("tenants of a lane that is full", () => {
  it("share its places alike, however many jobs each has queued", () => {
    const world = new PermitWorld(UNLIMITED, { callMs: 5 * SECOND });
    const jobs = [4_000, 1_500, 1_200].map((count) => world.submit("low", `has-${count}`, count));
    world.run(3 * MINUTE);
    const counts = jobs.map((of) => called(of).length);
    // Whoever was first has had the free places of the beginning alone.
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(CONCURRENCY.low + 10);
    expect(Math.min(...counts)).toBeGreaterThan(900);
  });
});

describe("floods in all lanes", () => {
  it("keep each lane as busy as it may be, whatever the others do", () => {
    const world = new PermitWorld(UNLIMITED, { callMs: 10 * SECOND });
    const lanes = ["high", "normal", "low", "long"] as const;
    const floods = lanes.map((lane) => world.submit(lane, "flood", 1_500));
    world.run(MINUTE);
    for (const [at, lane] of lanes.entries()) {
      const flood = floods[at] ?? [];
      expect(mostAtOnce(flood)).toBe(CONCURRENCY[lane]);
      expect(called(flood).length).toBeGreaterThan(CONCURRENCY[lane] * 6 * 0.8);
    }
  });
});

describe("a lane whose consumers have all died in their calls", () => {
  it("goes on once those calls must be over", () => {
    const world = new PermitWorld(UNLIMITED, { callMs: CALL_MS });
    world.submit("normal", "killer", CONCURRENCY.normal, { dies: true });
    const next = world.submit("normal", "next", 500, { fromMs: 2 * SECOND });
    world.run(CALL_MS + LEASE_MS - SECOND);
    expect(called(next)).toEqual([]);
    world.run(2 * MINUTE);
    expect(called(next)).toHaveLength(next.length);
  });
});

import { describe, expect, it } from "vitest";

import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { CONCURRENCY, MESSAGE_MS, mostAtOnce, PermitWorld } from "./permit-world.ts";

const LIMITS = { requests: 600, tokens: null };
const CALL_MS = 10 * MINUTE;
const FREE = { priority: 10 };

describe("of long jobs that hold a place for minutes", () => {
  const world = new PermitWorld(LIMITS, { callMs: CALL_MS });
  const free = world.submit("long", "free", 500, FREE);
  const [enterprise] = world.submit("long", "enterprise", 1, { fromMs: MINUTE, priority: 1 });
  world.run(30 * MINUTE);

  it("those that can wait leave a place to one that cannot: it waits for its messages", () => {
    const waitMs = (enterprise?.calledAt ?? Infinity) - (enterprise?.at ?? 0);
    expect(waitMs).toBeLessThan(2 * MESSAGE_MS + SECOND);
  });

  it("those that can wait have the other places all the time", () => {
    expect(mostAtOnce(free)).toBe(CONCURRENCY.long * 0.8);
    const called = free.filter(({ calledAt }) => calledAt < NOW + 25 * MINUTE);
    expect(called.length).toBe(3 * CONCURRENCY.long * 0.8);
  });

  it("those that can wait are called while the others flood", () => {
    const flooded = new PermitWorld(LIMITS, { callMs: CALL_MS });
    flooded.submit("long", "enterprise", 500, { priority: 1 });
    const waits = flooded.submit("long", "free", 500, { ...FREE, fromMs: MINUTE });
    flooded.run(35 * MINUTE);
    const called = waits.filter(({ calledAt }) => calledAt < Infinity);
    expect(called.length).toBeGreaterThan(CONCURRENCY.long);
  });

  it("one place is for whoever's turn it is", () => {
    const one = new PermitWorld(LIMITS, {
      callMs: MINUTE,
      concurrency: { ...CONCURRENCY, long: 1 },
    });
    const waits = one.submit("long", "free", 3, FREE);
    one.run(5 * MINUTE);
    expect(waits.filter(({ calledAt }) => calledAt < Infinity)).toHaveLength(3);
  });
});

describe("of a tenant's jobs in one lane", () => {
  it("the best priority goes first, and of alike ones the one that was due first", () => {
    const world = new PermitWorld({ requests: 50, tokens: null }, { callMs: SECOND });
    world.submit("high", "a", 20, { priority: 3 });
    const better = world.submit("high", "a", 5, {
      fromMs: 20 * SECOND,
      everyMs: SECOND,
      priority: 1,
    });
    world.run(45 * SECOND);
    const last = Math.max(...better.map(({ calledAt }) => calledAt));
    expect(last).toBeLessThan(NOW + 30 * SECOND);
    const order = better.toSorted((a, b) => a.calledAt - b.calledAt);
    expect(order.map(({ job }) => job)).toEqual(better.map(({ job }) => job));
  });

  it("priority gives no tenant an advantage over another", () => {
    const world = new PermitWorld(LIMITS, { callMs: SECOND });
    const [best, worst] = [1, 3].map((priority) =>
      world.submit("high", `tenant-${priority}`, 2_000, { priority }),
    );
    world.run(2 * MINUTE);
    const counts = [best, worst].map(
      (jobs = []) => jobs.filter(({ calledAt }) => calledAt < Infinity).length,
    );
    expect(Math.abs((counts[0] ?? 0) - (counts[1] ?? 0))).toBeLessThan(80);
  });
});

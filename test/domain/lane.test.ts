import { describe, expect, it } from "vitest";

import { laneOf, LANES, type Lane } from "../../src/domain/lane.ts";
import { TIERS } from "../../src/domain/tier.ts";

describe("the lane of a job", () => {
  const lanes: [number, Lane][] = [
    [1, "high"],
    [3, "high"],
    [4, "normal"],
    [5, "normal"],
    [7, "normal"],
    [8, "low"],
    [10, "low"],
  ];

  it.each(lanes)("of priority %i is %s", (priority, lane) => {
    expect(laneOf(priority, "default")).toBe(lane);
    expect(laneOf(priority, "interactive")).toBe(lane);
  });

  it.each(lanes)("of a long-running one of priority %i is its own, not %s", (priority) => {
    expect(laneOf(priority, "long_running")).toBe("long");
  });

  it("is one of the four that have queues", () => {
    const used = new Set(lanes.map(([priority]) => laneOf(priority, "default")));
    expect(new Set(LANES)).toEqual(used.add("long"));
  });
});

describe("a tier", () => {
  it.each([
    ["enterprise", 1, 1],
    ["pro", 3, 3],
    ["free", 10, 10],
    ["default", 5, 1],
  ] as const)("%s has priority %i unless told, and %i at best", (tier, level, best) => {
    expect(TIERS[tier]).toEqual({ priorityLevel: level, bestPriorityLevel: best });
  });
});

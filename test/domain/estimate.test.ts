import { describe, expect, it } from "vitest";

import { estimatedWaitSeconds, pollAfterSeconds } from "../../src/domain/estimate.ts";
import { HOUR, MINUTE, SECOND } from "./fixtures.ts";

describe("the estimated wait", () => {
  it.each([
    ["nothing, where nobody waits and it is due", 0, 0, 0],
    ["nothing, where it was due long ago", 0, -HOUR, 0],
    ["until it is due, rounded up", 0, 1_001, 2],
    ["ten seconds for each round of the lane", 250, 0, 10],
    ["a part of a round for a part of a lane", 100, 0, 4],
    ["the two together", 500, 5 * SECOND, 25],
  ])("is %s", (_, backlog, dueInMs, seconds) => {
    expect(estimatedWaitSeconds(backlog, dueInMs)).toBe(seconds);
  });
});

describe("the pace of a poller", () => {
  it.each([
    ["a second for a new job", 0, 1],
    ["a second for a young job", 19 * SECOND, 1],
    ["two seconds after twenty", 20 * SECOND, 2],
    ["ten seconds after a hundred", 100 * SECOND, 10],
    ["no more than ten seconds, however old", 90 * MINUTE, 10],
    ["a second, should the clocks disagree", -MINUTE, 1],
  ])("is %s", (_, ageMs, seconds) => {
    expect(pollAfterSeconds(ageMs)).toBe(seconds);
  });
});

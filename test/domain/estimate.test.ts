import { describe, expect, it } from "vitest";

import { pollAfterSeconds } from "../../src/domain/estimate.ts";
import { MINUTE, SECOND } from "./fixtures.ts";

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

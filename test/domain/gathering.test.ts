import { describe, expect, it } from "vitest";

import { Gathering } from "../../src/domain/gathering.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";

const wishOf = (job: string) => ({
  job,
  lane: "high" as const,
  tenant: "a",
  tokens: 1,
  since: NOW,
});

describe("what an isolate gathers", () => {
  it("is said by one for all, once the rest is over", () => {
    const gathering = new Gathering();
    gathering.rest(500, NOW);
    gathering.add(wishOf("a"));
    expect(gathering.sayIn(NOW + 100)).toBe(400);
    gathering.add(wishOf("b"));
    expect(gathering.sayIn(NOW + 200)).toBeNull();
    expect(gathering.take().map(({ job }) => job)).toEqual(["a", "b"]);
    expect(gathering.take()).toEqual([]);
    expect(gathering.sayIn(NOW + 600)).toBe(0);
  });

  it("is said by another where the first is lost", () => {
    const gathering = new Gathering();
    gathering.rest(500, NOW);
    expect(gathering.sayIn(NOW)).toBe(500);
    expect(gathering.sayIn(NOW + 5 * SECOND)).toBeNull();
    expect(gathering.sayIn(NOW + MINUTE)).toBe(0);
  });

  it("is nothing where the object can hear everything", () => {
    const gathering = new Gathering();
    expect(gathering.isResting(NOW)).toBe(false);
    gathering.rest(500, NOW);
    expect(gathering.isResting(NOW + 499)).toBe(true);
    expect(gathering.isResting(NOW + 500)).toBe(false);
    gathering.rest(0, NOW + 100);
    expect(gathering.isResting(NOW + 100)).toBe(false);
  });
});

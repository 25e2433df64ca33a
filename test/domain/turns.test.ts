import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { LINES, type Line } from "../../src/domain/lane.ts";
import { Turns, type Turn } from "../../src/domain/turns.ts";

/** Whose turns these are, one after the other, while all of them go on waiting. */
function served(turns: Turns, count: number, costOf: (turn: Turn) => number = () => 1): Turn[] {
  return Array.from({ length: count }, () => {
    const turn = turns.next(LINES);
    if (turn === null) throw new Error("nobody waits");
    turns.took(turn, costOf(turn));
    return turn;
  });
}

function turnsOf(...waiting: [Line, string][]): Turns {
  const turns = new Turns();
  for (const [line, tenant] of waiting) turns.join({ line, tenant });
  return turns;
}

const countOf = (turns: Turn[], wanted: Partial<Turn>) =>
  turns.filter(
    ({ line, tenant }) => line === (wanted.line ?? line) && tenant === (wanted.tenant ?? tenant),
  ).length;

describe("turns", () => {
  it("are nobody's where nobody waits", () => {
    expect(new Turns().next(LINES)).toBeNull();
    const turns = turnsOf(["high", "a"]);
    turns.leave({ line: "high", tenant: "a" });
    expect(turns.next(LINES)).toBeNull();
    expect(turns.lines).toEqual([]);
  });

  it("go to the lines by their weights while all of them wait", () => {
    const all = served(turnsOf(...LINES.map((line): [Line, string] => [line, "a"])), 150);
    expect(LINES.map((line) => countOf(all, { line }))).toEqual([80, 40, 10, 10, 10]);
  });

  it("begin with the best lane", () => {
    expect(served(turnsOf(["low", "a"], ["high", "a"]), 1)[0]?.line).toBe("high");
  });

  it("are all a lane's where only it waits", () => {
    expect(countOf(served(turnsOf(["low", "a"]), 10), { line: "low" })).toBe(10);
  });

  it("are those of a lane that may have them", () => {
    expect(turnsOf(["low", "a"], ["high", "a"]).next(["low"])?.line).toBe("low");
  });

  it("go round the tenants of a lane", () => {
    const all = served(turnsOf(["low", "a"], ["low", "b"], ["low", "c"]), 6);
    expect(all.map(({ tenant }) => tenant)).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  it("are measured by what they cost", () => {
    const turns = turnsOf(["low", "large"], ["low", "small"]);
    const all = served(turns, 40, ({ tenant }) => (tenant === "large" ? 3 : 1));
    expect(countOf(all, { tenant: "small" })).toBe(30);
  });

  it("are not saved up while one does not wait", () => {
    const turns = turnsOf(["low", "a"]);
    served(turns, 100);
    turns.join({ line: "low", tenant: "late" });
    expect(countOf(served(turns, 10), { tenant: "late" })).toBe(5);
  });

  it("are not had again and again by one who leaves after each and comes back at once", () => {
    const turns = turnsOf(["low", "a"], ["low", "b"], ["low", "quick"]);
    const all: Turn[] = [];
    for (let turn = 0; turn < 30; turn++) {
      const [next] = served(turns, 1);
      if (next?.tenant === "quick") {
        turns.leave(next);
        turns.join(next);
      }
      if (next !== undefined) all.push(next);
    }
    expect(countOf(all, { tenant: "quick" })).toBe(10);
  });
});

const WAITING = fc.uniqueArray(
  fc.record({ line: fc.constantFrom(...LINES), tenant: fc.constantFrom("a", "b", "c", "d", "e") }),
  { minLength: 1, maxLength: 20, selector: ({ line, tenant }) => `${line} ${tenant}` },
);

describe("whoever waits", () => {
  it("has a turn before the others have had all theirs: none starves, in any lane", () => {
    const property = fc.property(WAITING, (waiting) => {
      const turns = turnsOf(...waiting.map(({ line, tenant }) => [line, tenant] as [Line, string]));
      // The least of 14 parts, and five tenants to share it.
      const all = served(turns, 14 * 5 * 2);
      for (const one of waiting) expect(countOf(all, one)).toBeGreaterThan(0);
    });
    fc.assert(property);
  });

  it("has within its lane as many turns as any other, but for one", () => {
    const property = fc.property(WAITING, fc.integer({ min: 1, max: 300 }), (waiting, count) => {
      const turns = turnsOf(...waiting.map(({ line, tenant }) => [line, tenant] as [Line, string]));
      const all = served(turns, count);
      for (const lane of LINES) {
        const counts = waiting.filter((one) => one.line === lane).map((one) => countOf(all, one));
        if (counts.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(2);
      }
    });
    fc.assert(property);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  enter,
  leave,
  MOST_WAIT_SECONDS,
  OPEN_GATE,
  SLOW_CAP,
  SLOW_MS,
  type Gate,
  type GateRules,
} from "../../src/domain/gate.ts";

const NOW = 1_000_000;
const RULES: GateRules = { cap: 10, passMs: 15_000 };
const ENTER = { type: "enter" };

/** A gate to an origin that is trusted, whose passes of these names expire a second from now. */
function gateOf(names: string[], over: Partial<Gate> = {}): Gate {
  const passes = new Map(names.map((name) => [name, NOW + 1_000]));
  return { ...OPEN_GATE, trusted: RULES.cap, passes, ...over };
}

const names = (count: number) => Array.from({ length: count }, (_, at) => `p${at}`);
const knock = (gate: Gate, pass = "new", jitter = 0) => enter(gate, pass, RULES, NOW, jitter);

/** What so many who wait are told, one after the other. */
function waits(gate: Gate, count: number, jitter = 0): number[] {
  let now = gate;
  return names(count).map((name) => {
    const answer = knock(now, `waits-${name}`, jitter);
    now = answer.gate;
    return answer.entry.type === "wait" ? answer.entry.delaySeconds : 0;
  });
}

describe("a gate lets in", () => {
  it.each<[string, Gate, boolean]>([
    ["the first", OPEN_GATE, true],
    ["two, where nothing is known of the origin", gateOf(names(1), { trusted: 2 }), true],
    ["no third, where nothing is known of it", gateOf(names(2), { trusted: 2 }), false],
    ["the last there is room for", gateOf(names(9)), true],
    ["nobody where it is full", gateOf(names(10)), false],
    ["who has a pass already, though it is full", gateOf([...names(9), "new"]), true],
    ["another when one has expired", gateOf([], { passes: new Map([["p", NOW]]) }), true],
    ["two, where its origin is slow", gateOf(names(1), { latencyMs: SLOW_MS + 1 }), true],
    ["no third, where its origin is slow", gateOf(names(2), { latencyMs: SLOW_MS + 1 }), false],
    ["ten, where it is just not slow", gateOf(names(9), { latencyMs: SLOW_MS }), true],
  ])("%s", (_, gate, entered) => {
    expect(knock(gate).entry.type).toBe(entered ? "enter" : "wait");
  });

  it("one, where the setting is less than what slow origins get", () => {
    const gate = gateOf(names(1), { latencyMs: SLOW_MS + 1 });
    expect(enter(gate, "new", { ...RULES, cap: 1 }, NOW, 0).entry.type).toBe("wait");
  });

  it("the same pass again for the whole of its time", () => {
    const { gate } = knock(gateOf(["new"]));
    expect([...gate.passes]).toEqual([["new", NOW + RULES.passMs]]);
  });
});

describe("who has to wait", () => {
  it.each<[string, number | null, number[]]>([
    ["a second, where nothing is known", null, [1, 1, 1, 1, 1]],
    ["a place every fifth of a second, where two seconds are usual", 2_000, [1, 1, 1, 1, 1, 2]],
    ["one every half second, where five are usual", 5_000, [1, 1, 2, 2, 3, 3]],
    ["one every five seconds, where the origin hangs", 10_000, [5, 10, 15, 20]],
  ])("is told when its turn is likely: %s", (_, latencyMs, expected) => {
    expect(waits(gateOf(names(10), { latencyMs }), expected.length)).toEqual(expected);
  });

  it("is told up to a fifth more", () => {
    expect(waits(gateOf(names(2), { latencyMs: 10_000 }), 2, 0.5)).toEqual([6, 11]);
  });

  it("is never told more than a quarter of an hour, and is still spread", () => {
    const gate = gateOf(names(2), { latencyMs: 10_000 });
    expect(waits(gate, 1_000).at(-1)).toBe(MOST_WAIT_SECONDS / 1.2);
    expect(waits(gate, 1_000, 0.999_999).at(-1)).toBe(MOST_WAIT_SECONDS);
  });

  it("does not wait for turns that are past", () => {
    const gate = gateOf(names(2), { latencyMs: 10_000, lastTurnAt: NOW - 60_000 });
    expect(waits(gate, 1)).toEqual([5]);
  });
});

describe("who leaves", () => {
  it("frees a place, and says how quick the origin is", () => {
    const { passes, latencyMs } = leave(gateOf(names(2)), "p0", 400, NOW);
    expect([[...passes.keys()], latencyMs]).toEqual([["p1"], 400]);
  });

  it("counts for less than all before", () => {
    expect(leave(gateOf(["p"], { latencyMs: 1_000 }), "p", 2_000, NOW).latencyMs).toBe(1_300);
  });

  it.each([
    ["that the gate has forgotten meanwhile", gateOf([])],
    ["too late", gateOf([], { passes: new Map([["p", NOW]]) })],
  ])("%s still says how slow the origin is", (_, gate) => {
    expect(leave(gate, "p", 9_000, NOW)).toMatchObject({
      latencyMs: 9_000,
      trusted: SLOW_CAP,
      passes: new Map(),
    });
  });

  it("without having sent anything says nothing, and frees its place", () => {
    const gate = gateOf(["p"], { latencyMs: 1_000, trusted: 4 });
    expect(leave(gate, "p", null, NOW)).toEqual({ ...gate, passes: new Map() });
  });

  it("after a quick answer makes room for one more, and after a slow one for no more than two", () => {
    const known = leave(gateOf(["p"], { trusted: 4 }), "p", 100, NOW);
    expect(known.trusted).toBe(5);
    expect(leave(known, "q", SLOW_MS + 1, NOW).trusted).toBe(SLOW_CAP);
  });

  it("after a hang: two quick answers, and the origin is no longer slow", () => {
    const slow = gateOf(names(2), { latencyMs: 10_000 });
    const once = leave(slow, "p0", 100, NOW);
    expect(once.latencyMs).toBeGreaterThan(SLOW_MS);
    expect(leave(once, "p1", 100, NOW).latencyMs).toBeLessThanOrEqual(SLOW_MS);
  });
});

type Step = { pass: string; leaves: number | null; later: number; jitter: number };

const STEPS: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    pass: fc.nat(30).map(String),
    leaves: fc.option(fc.nat(12_000)),
    later: fc.nat(4_000),
    jitter: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
  }),
  { maxLength: 200 },
);

describe("whatever happens", () => {
  it("no more passes live than there may, each that expired frees its place, and no wait is none", () => {
    const property = fc.property(STEPS, fc.integer({ min: 1, max: 12 }), (steps, cap) => {
      const rules = { cap, passMs: 15_000 };
      /** Who is under way, counted here: until when. */
      const live = new Map<string, number>();
      let gate = OPEN_GATE;
      let now = 0;
      let trusted = SLOW_CAP;
      for (const { pass, leaves, later, jitter } of steps) {
        now += later;
        for (const [name, until] of live) if (until <= now) live.delete(name);
        if (leaves !== null) {
          live.delete(pass);
          gate = leave(gate, pass, leaves, now);
          trusted = leaves > SLOW_MS ? SLOW_CAP : trusted + 1;
          continue;
        }
        const room = Math.min(cap, (gate.latencyMs ?? 0) > SLOW_MS ? SLOW_CAP : trusted);
        const entered = live.has(pass) || live.size < room;
        const answer = enter(gate, pass, rules, now, jitter);
        gate = answer.gate;
        if (answer.entry.type === "enter") {
          live.set(pass, now + rules.passMs);
        } else {
          expect(answer.entry.delaySeconds).toBeGreaterThanOrEqual(1);
          expect(answer.entry.delaySeconds).toBeLessThanOrEqual(MOST_WAIT_SECONDS);
          expect(Number.isInteger(answer.entry.delaySeconds)).toBe(true);
        }
        expect(answer.entry).toMatchObject(entered ? ENTER : { type: "wait" });
        expect(live.size).toBeLessThanOrEqual(cap);
        expect(gate.passes).toEqual(live);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

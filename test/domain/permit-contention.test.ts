import { beforeEach, describe, expect, it } from "vitest";

import { PermitDesk } from "../../src/domain/permit-desk.ts";
import type { Permit, Verdict, Wish } from "../../src/domain/permit.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { ENDLESS, ParkedInMemory } from "./permit-world.ts";

let parked = new ParkedInMemory();
let jobs = 0;

/** When what was granted at once is used. */
const LATER = NOW + 4 * SECOND;

beforeEach(() => {
  parked = new ParkedInMemory();
});

function deskOf(requests: number): PermitDesk {
  const settings = { concurrency: ENDLESS, restedSince: 0, era: "desk" };
  return new PermitDesk(parked, { ...settings, limits: { requests, tokens: null } });
}

function wishOf(over: Partial<Wish> = {}): Wish {
  jobs += 1;
  const needs = { tokens: 100, since: NOW, lastsMs: MINUTE };
  return { job: `job-${jobs}`, lane: "normal", tenant: "a", ...needs, ...over };
}

function permitOf(verdict: Verdict): Permit {
  if (verdict.type !== "granted") throw new Error("parked");
  return verdict.permit;
}

/** Asks for so many, one after the other, and answers how many may call. */
function granted(desk: PermitDesk, count: number, over: Partial<Wish> = {}, now = NOW): number {
  const verdicts = Array.from({ length: count }, () => desk.ask(wishOf(over), 1, now));
  return verdicts.filter(({ type }) => type === "granted").length;
}

/** A desk whose burst is used up and where so many wait; those that were rung for once that was used. */
function contested(requests: number, waiting: number) {
  const desk = deskOf(requests);
  granted(desk, requests / 10 + waiting, { lane: "high" });
  desk.serve(LATER);
  return { desk, rung: desk.takeRings().map((wish) => Object.assign(wish, { rung: true })) };
}

describe("where others wait and permits come in blocks", () => {
  it("who was rung for fetches others' permits with its own, and they are granted what is left", () => {
    const { desk, rung } = contested(6_000, 400);
    const [first, second, last] = [rung[0], rung[1], rung.at(-1)];
    if (first === undefined || second === undefined || last === undefined) throw new Error("few");
    const permit = permitOf(desk.ask(first, 8, LATER));
    expect(permit).toMatchObject({ requests: 8, rung: true, lifeMs: SECOND });
    expect(permitOf(desk.ask(second, 1, LATER)).requests).toBe(1);
    const rest = permitOf(desk.ask(last, 10, LATER));
    expect(rest.requests).toBe(10);
    expect(rung.length).toBeGreaterThan(19);
  });

  it("never more than were reserved, whoever asks: then they wait anew", () => {
    const { desk, rung } = contested(6_000, 400);
    let had = 0;
    for (const wish of [...rung, ...rung]) {
      const verdict = desk.ask(wish, 4, LATER);
      if (verdict.type === "granted") had += verdict.permit.requests;
    }
    expect(had).toBe(rung.length);
  });

  it("who was not rung for has none of it", () => {
    const { desk } = contested(6_000, 400);
    expect(desk.ask(wishOf({ lane: "high" }), 10, LATER).type).toBe("parked");
  });

  it("a lane whose places are few has its permits one by one", () => {
    const concurrency = { ...ENDLESS, high: 600 };
    const settings = { concurrency, restedSince: 0, era: "desk" };
    const desk = new PermitDesk(parked, { ...settings, limits: { requests: 6_000, tokens: null } });
    granted(desk, 700, { lane: "high" });
    desk.hear({ spent: [], remaining: [{ id: "desk-1", calls: 0 }], tokens: 0 }, LATER);
    const [first] = desk.takeRings();
    if (first === undefined) throw new Error("nobody was rung for");
    expect(permitOf(desk.ask({ ...first, rung: true }, 8, LATER)).requests).toBe(1);
  });

  it("asks to be spared once it hears many, and no longer when nobody waits in that lane", () => {
    const { desk } = contested(6_000, 400);
    expect(desk.ask(wishOf({ lane: "high" }), 1, NOW)).toMatchObject({
      restMs: expect.any(Number),
    });
    expect(desk.park([wishOf({ lane: "high" })], "high", NOW).restMs).toBeGreaterThanOrEqual(500);
    expect(desk.park([], "low", NOW)).toEqual({});
  });
});

describe("wishes that are parked together", () => {
  it("wait as if each had asked, and are rung for in their turn", () => {
    const desk = deskOf(50);
    granted(desk, 5, { lane: "high" });
    const wishes = [2, 1, 3].map((at) => wishOf({ lane: "high", since: NOW + at }));
    for (let times = 0; times < 2; times++) expect(desk.park(wishes, "high", NOW)).toEqual({});
    expect(parked.size).toBe(3);
    desk.serve(NOW + 5 * SECOND);
    expect(desk.takeRings()).toEqual([wishes[1]]);
  });
});

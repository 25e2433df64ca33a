import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { LANES } from "../../src/domain/lane.ts";
import { PermitDesk } from "../../src/domain/permit-desk.ts";
import type { Permit, Verdict, Wish } from "../../src/domain/permit.ts";
import type { Limits } from "../../src/domain/permits.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { LEASE_MS, mostAtOnce, ParkedInMemory, PermitWorld } from "./permit-world.ts";

const UNLIMITED = { requests: null, tokens: null };
const PLACES = { high: 4, normal: 16, low: 2, long: 1 };
const LASTS_MS = MINUTE;
/** From a grant of one call to the latest beginning of it. */
const USE_MS = 3_500;

let jobs = 0;
function wishOf(over: Partial<Wish> = {}): Wish {
  jobs += 1;
  const job = `job-${jobs}`;
  return { job, lane: "high", tenant: "a", tokens: 100, since: NOW, lastsMs: LASTS_MS, ...over };
}

function deskOf(limits: Limits = UNLIMITED, parked = new ParkedInMemory()): PermitDesk {
  const settings = { limits, concurrency: PLACES, restedSince: 0, era: "desk" };
  return new PermitDesk(parked, settings);
}

function permitOf(verdict: Verdict): Permit {
  if (verdict.type !== "granted") throw new Error("parked");
  return verdict.permit;
}

/** With a lane that is wide enough for blocks. */
function wide(): PermitDesk {
  const concurrency = { ...PLACES, normal: 225 };
  const settings = { limits: UNLIMITED, concurrency, restedSince: 0, era: "desk" };
  return new PermitDesk(new ParkedInMemory(), settings);
}

/** Of whose places one tenant may have half. */
function shared(): PermitDesk {
  const settings = { limits: UNLIMITED, concurrency: PLACES, restedSince: 0, era: "desk" };
  return new PermitDesk(new ParkedInMemory(), { ...settings, tenantShare: 1 / 2 });
}

/** A lane with all its places taken by calls. */
function full(desk: PermitDesk, over: Partial<Wish> = {}): Permit[] {
  const { lane } = wishOf(over);
  const all = Array.from({ length: PLACES[lane] }, () => desk.ask(wishOf(over), 1, NOW));
  return all.map(permitOf);
}

function over(desk: PermitDesk, { id }: Permit, now = NOW): void {
  desk.hear({ spent: [], remaining: [{ id: id ?? "", calls: 0 }], tokens: 0 }, now);
}

const rung = (desk: PermitDesk) => desk.takeRings().map(({ job }) => job);

describe("a lane of which one tenant may have a part", () => {
  it("has places for others, however many of one's jobs came first", () => {
    const desk = shared();
    const flood = Array.from({ length: 10 }, () => wishOf({ tenant: "foe" }));
    const granted = flood
      .map((wish) => desk.ask(wish, 5, NOW))
      .filter(({ type }) => type !== "parked");
    expect(granted).toHaveLength(2);
    expect(permitOf(desk.ask(wishOf(), 5, NOW)).requests).toBe(1);
    expect(permitOf(desk.ask(wishOf({ lane: "low" }), 5, NOW)).requests).toBe(1);
    expect(rung(desk)).toEqual([]);
  });

  it("rings for the next of that tenant once one of its own calls is over, and not another's", () => {
    const desk = shared();
    const [first] = [1, 2].map(() => permitOf(desk.ask(wishOf({ tenant: "foe" }), 1, NOW)));
    const waiting = wishOf({ tenant: "foe" });
    expect(desk.ask(waiting, 1, NOW).type).toBe("parked");
    over(desk, permitOf(desk.ask(wishOf(), 1, NOW)));
    expect([rung(desk), desk.serveAt(NOW)]).toEqual([[], NOW + LASTS_MS + USE_MS]);
    if (first !== undefined) over(desk, first);
    expect(rung(desk)).toEqual([waiting.job]);
  });
});

describe("a lane that is full", () => {
  it("parks who comes, and rings for him once a call is over", () => {
    const desk = deskOf();
    const [first] = full(desk);
    const next = wishOf();
    expect(desk.ask(next, 1, NOW)).toEqual({ type: "parked" });
    expect(rung(desk)).toEqual([]);
    if (first !== undefined) over(desk, first);
    expect(rung(desk)).toEqual([next.job]);
    expect(permitOf(desk.ask(next, 1, NOW)).requests).toBe(1);
    expect(desk.ask(wishOf(), 1, NOW)).toEqual({ type: "parked" });
  });

  it("rings in turns: for one tenant's only job before another's second", () => {
    const desk = deskOf();
    const permits = full(desk);
    const [many, more, one] = [wishOf(), wishOf(), wishOf({ tenant: "b" })];
    for (const wish of [many, more, one]) desk.ask(wish, 1, NOW);
    for (const permit of permits.slice(0, 2)) {
      over(desk, permit);
      for (const { job, ...rest } of desk.takeRings()) desk.ask({ ...rest, job }, 1, NOW);
    }
    expect(desk.standing("high")).toEqual({ running: 4, concurrency: 4 });
    for (const permit of permits.slice(2, 3)) over(desk, permit);
    expect(rung(desk)).toEqual([more.job]);
  });

  it("holds up no other lane, though its own wait, nor has a job of another written down", () => {
    const parked = new ParkedInMemory();
    const add = vi.spyOn(parked, "add");
    const desk = deskOf(UNLIMITED, parked);
    full(desk, { lane: "low" });
    desk.ask(wishOf({ lane: "low" }), 1, NOW);
    expect(permitOf(desk.ask(wishOf({ lane: "high" }), 1, NOW)).requests).toBe(1);
    expect(add).toHaveBeenCalledTimes(1);
    expect(desk.ask(wishOf({ lane: "low" }), 1, NOW)).toEqual({ type: "parked" });
  });

  it("takes no permit from the others, where the provider has a limit as well", () => {
    const desk = deskOf({ requests: 600, tokens: null });
    full(desk, { lane: "low" });
    for (let at = 0; at < 20; at++) desk.ask(wishOf({ lane: "low" }), 1, NOW);
    const granted = Array.from({ length: 16 }, () => desk.ask(wishOf({ lane: "normal" }), 1, NOW));
    expect(new Set(granted.map(({ type }) => type))).toEqual(new Set(["granted"]));
  });

  it("is free again, by an alarm, once its calls must be over, though nobody says so", () => {
    const desk = deskOf();
    full(desk);
    const next = wishOf();
    desk.ask(next, 1, NOW);
    const at = NOW + USE_MS + LASTS_MS;
    expect(desk.serveAt(NOW)).toBe(at);
    desk.serve(at - 1);
    expect(rung(desk)).toEqual([]);
    desk.serve(at);
    expect(rung(desk)).toEqual([next.job]);
  });

  it("keeps a place for whom it rang for thirty seconds, and no longer", () => {
    const desk = deskOf();
    const [first] = full(desk);
    const [lost, next] = [wishOf(), wishOf()];
    for (const wish of [lost, next]) desk.ask(wish, 1, NOW);
    if (first !== undefined) over(desk, first);
    expect(rung(desk)).toEqual([lost.job]);
    desk.serve(NOW + 30 * SECOND - 1);
    expect(rung(desk)).toEqual([]);
    desk.serve(NOW + 30 * SECOND);
    expect(rung(desk)).toEqual([next.job]);
  });
});

describe("a place", () => {
  it("is given back once, however often it is told", () => {
    const desk = deskOf();
    const [first] = full(desk);
    for (let twice = 0; twice < 2; twice++) if (first !== undefined) over(desk, first);
    expect(desk.standing("high").running).toBe(3);
  });

  it("of a consumer of a version that tells no ends is kept until its call must have begun", () => {
    const desk = deskOf();
    const { lastsMs: _, ...wish } = wishOf();
    desk.ask(wish, 1, NOW);
    desk.serve(NOW + USE_MS - 1);
    expect(desk.standing("high").running).toBe(1);
    desk.serve(NOW + USE_MS);
    expect(desk.standing("high").running).toBe(0);
  });
});

describe("a block of a provider without a limit", () => {
  it("takes an eighth of the places that blocks may take, and there is none once half are taken", () => {
    const desk = wide();
    const sizes = Array.from(
      { length: 60 },
      () => permitOf(desk.ask(wishOf({ lane: "normal" }), 100, NOW)).requests,
    );
    expect(sizes.slice(0, 3)).toEqual([14, 12, 10]);
    expect(sizes.at(-1)).toBe(1);
    expect(desk.standing("normal").running).toBeLessThan(225);
  });

  it("has so many places as are still needed, though that is told late and out of order", () => {
    const desk = wide();
    const { id } = permitOf(desk.ask(wishOf({ lane: "normal" }), 10, NOW));
    for (const [calls, running] of [
      [7, 7],
      [3, 3],
      [5, 3],
      [0, 0],
      [2, 0],
    ] as const) {
      desk.hear({ spent: [], remaining: [{ id: id ?? "", calls }], tokens: 0 }, NOW);
      expect(desk.standing("normal").running).toBe(running);
    }
  });

  it("is quiet until half the lane's places are taken", () => {
    const desk = wide();
    const quiet = Array.from(
      { length: 225 },
      () => permitOf(desk.ask(wishOf({ lane: "normal" }), 1, NOW)).quietMs,
    );
    expect(quiet.filter((ms) => ms === 10 * SECOND)).toHaveLength(112);
    expect(quiet.slice(112)).toEqual(Array.from({ length: 113 }, () => 0));
  });
});

const JOBS = fc.array(
  fc.record({
    lane: fc.constantFrom(...LANES),
    tenant: fc.constantFrom("a", "b", "c"),
    count: fc.integer({ min: 1, max: 6 }),
    fromMs: fc.nat(40_000),
    callMs: fc.integer({ min: 1, max: 20_000 }),
    dies: fc.integer({ min: 0, max: 9 }).map((of) => of === 0),
  }),
  { minLength: 5, maxLength: 40 },
);

describe("whatever comes, for however long, and whoever dies in it,", () => {
  it("no lane has more calls at once than it may, and every job is called in the end", () => {
    const limits = fc.constantFrom(UNLIMITED, { requests: 120, tokens: null });
    const property = fc.property(JOBS, limits, fc.nat(1_000), (submissions, limit, seed) => {
      const world = new PermitWorld(limit, { concurrency: PLACES, seed });
      for (const { lane, tenant, count, ...how } of submissions) {
        world.submit(lane, tenant, count, how);
      }
      const longest = 20_000 + LEASE_MS + USE_MS + 30_000;
      world.run(MINUTE + world.jobs.length * longest);
      world.desk.serve(world.now);
      for (const lane of LANES) {
        const jobs = world.jobs.filter((job) => job.lane === lane);
        expect(mostAtOnce(jobs)).toBeLessThanOrEqual(PLACES[lane]);
        expect(jobs.filter(({ calledAt }) => calledAt === Infinity)).toEqual([]);
        expect(world.desk.standing(lane).running).toBe(0);
      }
      expect(world.parked.size).toBe(0);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

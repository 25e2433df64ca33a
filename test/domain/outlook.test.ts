import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { forecast, MOST_SECONDS, type Forecast } from "../../src/domain/forecast.ts";
import { LINES, type Line } from "../../src/domain/lane.ts";
import { measured, NOTHING_MEASURED } from "../../src/domain/measured.ts";
import {
  NOBODY_WAITS,
  outlookOf,
  prospectOf,
  type Facts,
  type OwnLine,
  type Since,
  type Waiting,
} from "../../src/domain/outlook.ts";
import { Turns } from "../../src/domain/turns.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";

const PLACE = { lane: "normal", tenant: "acme", priority: 5 } as const;
/** The line of that place, and whose it is. */
const OURS = { line: "normal", tenant: "acme" } as const;

/** A line of jobs due at these instants, with no more than so many marks. */
function lineOf(dues: readonly number[], marks = 200): OwnLine {
  const step = Math.max(1, Math.ceil(dues.length / marks));
  const marked = dues.filter((_, at) => at % step === 0);
  return { better: 0, waiting: dues.length, marks: marked, step, newest: dues.at(-1) ?? 0 };
}

/** So many jobs of ours, due one a second up to now. */
function ours(count: number, marks?: number): OwnLine {
  return lineOf(
    Array.from({ length: count }, (_, at) => NOW + (at - count) * SECOND),
    marks,
  );
}

function factsOf(over: Partial<Facts> = {}): Facts {
  const { line = NOBODY_WAITS } = over;
  return {
    waiting: line.waiting === 0 ? [] : [{ ...OURS, jobs: line.waiting, tokens: 0 }],
    line,
    limits: { requests: null, tokens: null },
    paused: false,
    blockedUntil: 0,
    measured: NOTHING_MEASURED,
    standing: { running: 0, concurrency: 50 },
    room: () => Infinity,
    ...over,
  };
}

const NONE = { count: 0, held: true };

/** 60 a minute, of which a burst of 6: what accrues is 55 a minute. */
const SIXTY = { limits: { requests: 60, tokens: null }, room: () => 0 };

/** What our newest job is told, or one that is due since. */
function told(facts: Partial<Facts>, over: Partial<Since> = {}, dueAt = NOW): Forecast {
  const known = { since: Infinity, arrivals: [], messages: NONE, askedAt: NOW, ...over };
  const outlook = outlookOf(factsOf(facts), PLACE, NOW);
  return forecast(prospectOf(outlook, PLACE, known, dueAt, NOW));
}

/** The place of our newest, while so many wait in another lane. */
function besides(line: Line, jobs: number): number {
  return told({ waiting: [{ line, tenant: "flood", jobs, tokens: 0 }] }).position;
}

/** Who is served, one after the other, until nobody waits. */
function turnsOf(waiting: Waiting[]): Pick<Waiting, "line" | "tenant">[] {
  const turns = new Turns();
  const left = new Map(waiting.map(({ line, tenant, jobs }) => [line + tenant, jobs]));
  for (const each of waiting) turns.join(each);
  const order = [];
  for (let turn = turns.next(LINES); turn !== null; turn = turns.next(LINES)) {
    order.push(turn);
    turns.took(turn, 1);
    const key = turn.line + turn.tenant;
    left.set(key, (left.get(key) ?? 0) - 1);
    if (left.get(key) === 0) turns.leave(turn);
  }
  return order;
}

const isOurs = ({ line, tenant }: Pick<Waiting, "line" | "tenant">) =>
  line === OURS.line && tenant === PLACE.tenant;

describe("the place of a job", () => {
  it("is the next, and its wait none, where nobody is in line", () => {
    expect(told({})).toEqual({ position: 0, seconds: 0 });
  });

  it("is behind all of its tenant's that are due sooner, and its wait grows by the provider's rate", () => {
    const line = ours(10);
    const places = line.marks.map((since) => told({ ...SIXTY, line }, { since }));
    expect(places.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(places.map(({ seconds }) => seconds)).toEqual(
      places.map(({ position }) => Math.ceil(((position + 1) * 60) / 55)),
    );
    expect(told({ ...SIXTY, line }).position).toBe(10);
  });

  it("is behind all of its tenant's of a better priority", () => {
    const line = { ...ours(10), better: 4 };
    expect(told({ line }, { since: line.marks[2] ?? 0 }).position).toBe(6);
  });

  it("is about as it is in a line that is told by few of its jobs", () => {
    const dues = ours(1_000).marks;
    const all = Array.from({ length: 1_000 }, (_, at) => NOW + (at - 1_000) * SECOND);
    expect(dues.length).toBeLessThanOrEqual(200);
    const errors = all.map((since, at) =>
      Math.abs(told({ line: ours(1_000) }, { since }).position - at),
    );
    expect(Math.max(...errors)).toBeLessThanOrEqual(3);
  });

  it("is no longer in line once it is rung for: what it needs is kept for it", () => {
    const since = NOW - 11 * SECOND;
    const waiting = [
      ...factsOf({ line: ours(10) }).waiting,
      { ...OURS, tenant: "flood", jobs: 9, tokens: 0 },
    ];
    const facts = { ...SIXTY, line: ours(10), waiting };
    expect(told(facts, { since })).toEqual({ position: 0, seconds: 0 });
  });

  it("is behind those that were submitted since the line was asked about", () => {
    const arrivals = [NOW - 20 * SECOND, NOW, NOW + 1, NOW + 2];
    expect(told({}, { arrivals }).position).toBe(3);
    expect(told({ line: ours(10) }, { arrivals }).position).toBe(13);
    expect(told({ line: ours(10) }, { arrivals, since: NOW + 1 }).position).toBe(11);
    expect(told({ line: ours(10) }, { arrivals, since: NOW - 5 * SECOND }).position).toBe(5);
  });

  it.each([
    ["all that were submitted, where there are so many messages", 4, false, 0, 4],
    ["no more than there are messages", 2, false, 0, 2],
    ["none where the messages are those of calls under way", 40, true, 40, 0],
    ["those beyond the calls under way", 42, true, 40, 2],
    ["all that are too many for the lane's consumers", 260, true, 40, 10],
  ])("is behind messages on the way: %s", (_, count, held, running, position) => {
    const arrivals = [4, 3, 2, 1].map((seconds) => NOW - seconds * SECOND);
    const standing = { running, concurrency: 225 };
    expect(told({ standing }, { arrivals, messages: { count, held } }).position).toBe(position);
  });

  it("is before those that were submitted later", () => {
    const arrivals = [4, 3, 2, 1].map((seconds) => NOW - seconds * SECOND);
    const messages = { count: 4, held: false };
    const places = arrivals.map((since) => told({}, { arrivals, messages, since }).position);
    expect(places).toEqual([0, 1, 2, 3]);
  });

  it("is behind other tenants' by turns, whoever has how many", () => {
    const others = ["flood", "storm", "drop"].map((tenant, at) => ({
      line: "normal" as const,
      tenant,
      jobs: [1_000, 1_000, 1][at] ?? 0,
      tokens: 0,
    }));
    const at = (count: number) =>
      told({
        line: ours(count),
        waiting: [...others, { ...OURS, jobs: count, tokens: 0 }],
      }).position;
    expect([at(0), at(1), at(10)]).toEqual([3, 1 + 5, 10 + 23]);
  });

  it("is behind other lanes by their weights, as far as they have jobs", () => {
    expect([besides("high", 1_000), besides("high", 1), besides("low", 1_000)]).toEqual([2, 1, 0]);
  });
});

describe("the turns as they are taken", () => {
  const line = fc.record({
    line: fc.constantFrom(...LINES),
    tenant: fc.constantFrom("acme", "flood", "storm"),
    jobs: fc.integer({ min: 1, max: 30 }),
    tokens: fc.constant(0),
  });

  it("come about when it was told, by a few jobs more or less", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(line, { selector: (each) => each.line + each.tenant }),
        (lines) => {
          const waiting = [
            { ...OURS, jobs: 10, tokens: 0 },
            ...lines.filter((each) => !isOurs(each)),
          ];
          const order = turnsOf(waiting);
          const mine = [...order.entries()].flatMap(([at, each]) => (isOurs(each) ? at : []));
          const facts = { line: ours(10), waiting };
          const errors = mine.map((at, n) => {
            const since = ours(10).marks[n] ?? 0;
            return Math.abs(told(facts, { since }).position - at);
          });
          expect(Math.max(...errors)).toBeLessThanOrEqual(lines.length + 4);
        },
      ),
    );
  });
});

describe("the wait of a job", () => {
  it("is none while a burst is left, and then for what comes", () => {
    const left = { ...SIXTY, room: () => 6 };
    const arrivals = Array.from({ length: 10 }, (_, at) => NOW + at);
    const seconds = arrivals.map((since) => told(left, { since, arrivals }).seconds);
    expect(seconds).toEqual([0, 0, 0, 0, 0, 0, 2, 3, 4, 5]);
  });

  it("is what its tokens let begin, where those are fewer calls", () => {
    const limits = { requests: 60, tokens: 10_000 };
    const call = { lane: "normal" as const, model: "fast", ms: SECOND, tokens: 1_000 };
    const known = measured(NOTHING_MEASURED, [call], NOW);
    const asked: number[] = [];
    const room = (tokens: number) => (asked.push(tokens), 0);
    // 9,001 tokens accrue in a minute.
    expect(told({ limits, measured: known, room, line: ours(9) }).seconds).toBe(67);
    expect(asked).toEqual([1_000]);
  });

  it("takes those that wait for a measure of tokens before a call was measured", () => {
    const limits = { requests: null, tokens: 10_000 };
    const waiting = [{ ...OURS, jobs: 9, tokens: 9 * 2_000 }];
    expect(told({ limits, room: () => 0, line: ours(9), waiting }).seconds).toBe(134);
  });

  it("is until places come free, where those decide", () => {
    const standing = { running: 50, concurrency: 50 };
    const call = { lane: "normal" as const, model: "fast", ms: 5 * SECOND, tokens: null };
    const known = measured(NOTHING_MEASURED, [call], NOW);
    expect(told({ standing, measured: known, line: ours(99) }).seconds).toBe(10);
  });

  it("is until its limit is over, which passes while the answer is kept", () => {
    const blockedUntil = NOW + MINUTE;
    expect(told({ blockedUntil }).seconds).toBe(60);
    expect(told({ blockedUntil }, { askedAt: NOW - 20 * SECOND }).seconds).toBe(40);
  });

  it("is the longest that is ever told while the provider is paused: nobody knows", () => {
    expect(told({ paused: true }).seconds).toBe(MOST_SECONDS);
  });

  it("begins when it is due", () => {
    expect(told({}, { since: NOW + MINUTE }, NOW + MINUTE).seconds).toBe(60);
  });
});

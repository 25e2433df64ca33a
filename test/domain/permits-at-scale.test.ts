import { describe, expect, it } from "vitest";

import { PermitBlocks, type Permitted } from "../../src/domain/permit-blocks.ts";
import { PermitDesk } from "../../src/domain/permit-desk.ts";
import { seeded } from "../support/random.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import {
  ENDLESS,
  mostInAMinute,
  ParkedInMemory,
  PermitWorld,
  MESSAGE_MS,
  type Simulated,
} from "./permit-world.ts";

const LIMIT = 600;
/** How often a permit accrues. */
const APART_MS = MINUTE / 541;

const waits = (jobs: Simulated[]) => jobs.map(({ at, calledAt }) => calledAt - at);
const calls = (jobs: Simulated[]) =>
  jobs.map(({ calledAt }) => calledAt).filter((at) => at < Infinity);

describe("of ten thousand jobs that one tenant has queued", () => {
  const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 5_000 });
  world.submit("low", "flood", 10_000);
  const others = Array.from({ length: 20 }, (_, at) =>
    world.submit("low", `other-${at}`, 1, { fromMs: (at + 1) * 10 * SECOND }),
  ).flat();
  const better = world.submit("high", "enterprise", 40, { fromMs: 5 * SECOND, everyMs: 5_100 });
  world.run(5 * MINUTE);

  it("another's job in the same lane waits for two at most, and its two messages", () => {
    expect(Math.max(...waits(others))).toBeLessThanOrEqual(2 * MESSAGE_MS + 3 * APART_MS);
  });

  it("an enterprise job waits for less than one running job's time: one permit, and its messages", () => {
    expect(Math.max(...waits(better))).toBeLessThanOrEqual(2 * MESSAGE_MS + 2 * APART_MS);
    const atOnce = waits(better).filter((ms) => ms <= MESSAGE_MS);
    expect(atOnce.length).toBeGreaterThan(better.length * 0.9);
  });

  it("no minute has more calls than the provider allows, and few fewer", () => {
    const all = calls(world.jobs);
    expect(mostInAMinute(all)).toBeLessThanOrEqual(LIMIT);
    expect(all.length).toBeGreaterThan(5 * LIMIT * 0.88);
  });
});

describe("while enterprise floods", () => {
  const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 2_000 });
  world.submit("high", "enterprise", 10_000);
  const free = world.submit("low", "free", 1_000);
  const pro = world.submit("normal", "pro", 1_000);
  world.run(5 * MINUTE);

  it("free jobs still run: a thirteenth of all, their share", () => {
    const share = calls(free).length / calls(world.jobs).length;
    expect(share).toBeGreaterThan(0.06);
    expect(share).toBeLessThan(0.1);
  });

  it("and so do those in between, four times as many", () => {
    const ratio = calls(pro).length / calls(free).length;
    expect(ratio).toBeGreaterThan(3.5);
    expect(ratio).toBeLessThan(4.5);
  });

  it("no minute has more calls than the provider allows", () => {
    expect(mostInAMinute(calls(world.jobs))).toBeLessThanOrEqual(LIMIT);
  });
});

describe("a lane whose consumers are all busy", () => {
  it("keeps no permits from the others", () => {
    const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 10 * MINUTE });
    world.submit("low", "flood", 3_000);
    const better = world.submit("normal", "other", 100, { fromMs: MINUTE, everyMs: SECOND });
    world.run(4 * MINUTE);
    expect(Math.max(...waits(better))).toBeLessThanOrEqual(2 * MESSAGE_MS + 3 * APART_MS);
  });
});

describe("tenants of one lane", () => {
  it("share it alike, however many jobs each has queued", () => {
    const world = new PermitWorld({ requests: LIMIT, tokens: null }, { callMs: 1_000 });
    const [many, some, few] = [
      world.submit("normal", "many", 6_000),
      world.submit("normal", "some", 1_000),
      world.submit("normal", "few", 500),
    ];
    world.run(2 * MINUTE);
    const counts = [many, some, few].map((jobs) => calls(jobs).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(80);
  });
});

/** How long their calls take. */
const ISOLATES_CALL_MS = 500;

/** Isolates that call as often as they are permitted, and those that are parked when it is their turn. */
function isolates(count: number, limit: number, forMs: number, everyMs: number) {
  const limits = { requests: limit, tokens: null };
  const settings = { limits, concurrency: ENDLESS, restedSince: 0, era: "desk" };
  const desk = new PermitDesk(new ParkedInMemory(), settings);
  const random = seeded(7);
  const [made, words]: [number[], number[]] = [[], []];
  const under: { blocks: PermitBlocks; held: Permitted; endsAt: number }[] = [];
  const call = (blocks: PermitBlocks, held: Permitted, now: number) => {
    made.push(now);
    under.push({ blocks, held, endsAt: now + ISOLATES_CALL_MS });
  };
  const ask = (blocks: PermitBlocks, job: string, since: number, now: number) => {
    const taken = blocks.take({ tokens: 0, lastsMs: 0 }, now);
    if (taken !== null) return call(blocks, taken, now);
    const { most, ...news } = blocks.asker();
    words.push(now);
    desk.hear(news, now);
    const wish = { job, lane: "high" as const, tenant: "t", tokens: 0, since, lastsMs: MINUTE };
    const verdict = desk.ask(wish, most, now);
    if (verdict.type === "parked") return blocks.parked();
    return call(blocks, blocks.put(verdict.permit, 0, now), now);
  };
  const end = (now: number) => {
    for (let next = under[0]; next !== undefined && next.endsAt <= now; next = under[0]) {
      under.shift();
      next.blocks.over(next.held, 0);
      if (!next.blocks.isNewsDue(now)) continue;
      words.push(now);
      desk.hear(next.blocks.news(), now);
    }
  };
  const all = Array.from({ length: count }, () => ({
    blocks: new PermitBlocks(),
    at: NOW + random() * everyMs,
  }));
  let jobs = 0;
  for (let now = NOW; now < NOW + forMs; now += 10) {
    end(now);
    for (const isolate of all) {
      for (; isolate.at <= now; isolate.at += everyMs * (0.5 + random())) {
        ask(isolate.blocks, `job-${jobs++}`, now, now);
      }
    }
    if (desk.serveAt(now) <= now + 10) desk.serve(now);
    for (const { job, since } of desk.takeRings()) {
      const { blocks } = all[Math.floor(random() * count)] ?? { blocks: new PermitBlocks() };
      ask(blocks, job, since, now);
    }
  }
  return { made, words };
}

describe("with many isolates that have permits ahead", () => {
  it("no minute has more calls than the limit, though they would make twice as many", () => {
    const { made } = isolates(50, 3_000, 2 * MINUTE, 500);
    expect(mostInAMinute(made)).toBeLessThanOrEqual(3_000);
    expect(made.length).toBeGreaterThan(2 * 3_000 * 0.85);
  });

  it("a million calls a minute take the desk fewer than a thousand questions and answers a second", () => {
    const { made, words } = isolates(250, 1_000_000, 5 * SECOND, 17);
    expect(made.length).toBeGreaterThan(70_000);
    expect(words.length / 5).toBeLessThan(1_000);
    expect(words.filter((at) => at > NOW + 2 * SECOND).length / 3).toBeLessThan(500);
  });
});

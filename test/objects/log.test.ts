import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import {
  ANSWER,
  completed,
  events,
  holdClock,
  job,
  leased,
  lines,
  objectOf,
  OUTAGE,
  page,
  partOf,
  passTime,
  REPORT,
  submitted,
  view,
} from "./support.ts";

holdClock();

const PARTS = 12;

/** About a page of text, told apart by its first characters. */
function textOf(attempt: number, part: number): string {
  return `${attempt}.${part} `.padEnd(60_000, "x");
}

/** Two attempts that fail half-way, then one that completes: five pages or so. */
async function longStory(): Promise<string> {
  const name = await submitted();
  for (const attempt of [1, 2, 3]) {
    const { token } = await leased(name);
    for (let part = 0; part < PARTS - 1; part++) {
      await job(name).append(token, partOf(part, textOf(attempt, part)));
    }
    const rest = partOf(PARTS - 1, textOf(attempt, PARTS - 1));
    if (attempt === 3) await job(name).complete(token, rest, ANSWER, REPORT);
    else await job(name).fail(token, OUTAGE, REPORT);
    passTime(20_000);
  }
  return name;
}

describe("the log", () => {
  it("is numbered from 1 without gaps, in pages that say whether there is more (invariant 4)", async () => {
    const name = await longStory();
    const pages = [];
    for (let after = 0, more = true; more; after = pages.at(-1)?.at(-1)?.seq ?? Infinity) {
      const next = await page(name, after);
      pages.push(next.events);
      ({ more } = next);
    }
    expect(pages.length).toBeGreaterThan(3);
    const seqs = pages.flat().map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_seq, at) => at + 1));
    expect(seqs.at(-1)).toBe((await page(name, 0)).lastSeq);
    const told = (await events(name)).map(({ seq }) => seq);
    expect(told).toEqual(seqs);
  });

  it("is the same from every cursor", async () => {
    const name = await submitted();
    await completed(name, "Rayleigh ", "scattering", ".");
    const whole = await lines(name);
    for (let after = 0; after <= whole.length + 1; after++) {
      expect(await lines(name, after)).toEqual(whole.slice(after));
    }
  });

  it("F12, F13: is the same after an eviction and after a crash, at every stage (invariant 4)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const stages = [
      () => job(name).append(token, partOf(0, "Rayleigh ")),
      () => job(name).append(token, partOf(1, "scattering")),
      () => job(name).complete(token, partOf(2, "."), ANSWER, REPORT),
    ];
    for (const stage of stages) {
      await stage();
      const before = [await lines(name), await view(name, true)];
      await evictDurableObject(objectOf(name));
      expect([await lines(name), await view(name, true)]).toEqual(before);
      await abortAllDurableObjects();
      expect([await lines(name), await view(name, true)]).toEqual(before);
    }
  });

  it("keeps a part from being stored twice when the object has forgotten it (invariant 5)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    await job(name).append(token, partOf(1, "scattering"));
    await evictDurableObject(objectOf(name));
    expect(await job(name).append(token, partOf(1, "scattering"))).toMatchObject({ go: true });
    await abortAllDurableObjects();
    await job(name).complete(token, partOf(2, "."), ANSWER, REPORT);
    expect((await view(name)).result?.content).toBe("Rayleigh scattering.");
  });

  it("says of the result what the deltas of one attempt said, in spite of retries (invariant 5)", async () => {
    const name = await longStory();
    const log = await events(name);
    const last = log.at(-1);
    if (last?.type !== "completed") throw new Error(`it ended with ${last?.type}`);
    const deltas = log.filter((event) => event.type === "delta");
    const own = deltas.filter(({ attempt }) => attempt === 3).map(({ delta }) => delta);
    expect(deltas.length).toBeGreaterThan(own.length);
    expect(last.result).toEqual({ content: own.join(""), ...ANSWER });
    expect(own).toEqual(Array.from({ length: PARTS }, (_part, at) => textOf(3, at)));
    expect((await view(name)).result).toEqual(last.result);
  });

  it("has one terminal event, and it is the last (invariant 1)", async () => {
    const name = await longStory();
    const ends = (await events(name)).filter(({ type }) =>
      ["completed", "failed", "cancelled"].includes(type),
    );
    const { lastSeq, ended } = await page(name, 0);
    expect(ends.map(({ seq }) => seq)).toEqual([lastSeq]);
    expect(ended).toBe(true);
  });

  it("only ever grows: what was read once is read again (invariant 4)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const readings = [await lines(name)];
    const grow = [
      () => job(name).append(token, partOf(0, "Rayleigh ")),
      // A pulse that renews the lease rewrites the newest row, not its events.
      () => (passTime(30_000), job(name).append(token, partOf(1, ""))),
      () => job(name).append(token, partOf(1, "scattering")),
      () => job(name).fail(token, OUTAGE, REPORT),
      () => job(name).cancel("enough"),
    ];
    for (const step of grow) {
      await step();
      const now = await lines(name);
      const before = readings.at(-1) ?? [];
      expect(now.slice(0, before.length)).toEqual(before);
      readings.push(now);
    }
    expect(readings.at(-1)).toHaveLength(7);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { Allowance } from "../../src/http/allowance.ts";
import { follow } from "../../src/http/follow.ts";
import type { Frame } from "../../src/job/job-rpc.ts";
import { ScriptedLog } from "./scripted-log.ts";

const NEVER = new AbortController().signal;

function readingOf(log: ScriptedLog, after = 0, maxBacklog = 1_000) {
  return { log: () => log.stub(), after, allowance: new Allowance(maxBacklog) };
}

/** All that a reader is given, from the cursor to the end; `between` happens after each run of frames. */
async function readAll(
  log: ScriptedLog,
  { after = 0, maxBacklog = 1_000, between = () => {} }: ReadOptions = {},
): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const run of follow(readingOf(log, after, maxBacklog), NEVER)) {
    if (run.length === 0) continue;
    frames.push(...run);
    between();
    // Time for what was sent meanwhile to arrive.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return frames;
}
type ReadOptions = { after?: number; maxBacklog?: number; between?: () => void };

describe("following a log", () => {
  it("gives all of it from every cursor, and what comes, in order and nothing twice", async () => {
    for (const after of [0, 1, 4]) {
      const log = new ScriptedLog({ pageSize: 2 });
      log.say(4);
      const reading = readAll(log, { after });
      await log.attached();
      log.say(3);
      log.end();
      expect(await reading).toEqual(log.frames.slice(after));
    }
  });

  it("ends at once where there is nothing after the cursor of a log that has ended", async () => {
    const log = new ScriptedLog();
    log.say(3);
    log.end();
    expect(await readAll(log, { after: log.frames.length })).toEqual([]);
    expect(await readAll(log, { after: log.frames.length + 5 })).toEqual([]);
    expect(log.sockets).toBe(0);
  });

  it("starts with a page that was read already", async () => {
    const log = new ScriptedLog();
    log.say(2);
    const first = log.pageAfter(0);
    log.end();
    const frames: Frame[] = [];
    const reading = { ...readingOf(log), first };
    for await (const run of follow(reading, NEVER)) frames.push(...run);
    expect(frames).toEqual(log.frames);
  });

  it("misses nothing that is said between the page and the socket", async () => {
    const log = new ScriptedLog();
    log.say(2);
    log.beforeSocket = () => {
      log.say(2);
      log.end();
      log.beforeSocket = () => {};
    };
    expect(await readAll(log)).toEqual(log.frames);
  });

  it("F12: has the end that was stored, and never sent because the object was evicted (invariant 4)", async () => {
    const log = new ScriptedLog();
    log.say(2);
    const reading = readAll(log);
    await log.attached();
    log.endUnsent();
    expect(await reading).toEqual(log.frames);
    expect(log.frames.at(-1)?.json).toContain("completed");
  });

  it("goes back to pages where it is behind, and holds no more than its bound", async () => {
    const log = new ScriptedLog({ pageSize: 3 });
    log.say(1);
    const reading = readAll(log, { maxBacklog: 10 });
    await log.attached();
    log.say(50);
    log.end();
    expect(await reading).toEqual(log.frames);
    expect(log.pages).toBeGreaterThan(10);
  });

  it("takes no frame from a socket that skips one or says one again", async () => {
    for (const skipTo of [4, 1]) {
      const log = new ScriptedLog();
      log.say(2);
      const reading = readAll(log);
      await log.attached();
      log.send({ seq: skipTo, json: '{"type":"wrong"}' });
      await log.attached();
      log.end();
      expect(await reading).toEqual(log.frames);
    }
  });

  it("opens another socket for one that is lost, twice and more, and asks a fresh stub each time", async () => {
    const log = new ScriptedLog();
    log.say(1);
    const reading = readAll(log);
    for (let cuts = 0; cuts < 3; cuts++) {
      await log.attached();
      log.say(1);
      await log.idle();
      log.cut();
      log.say(1);
    }
    await log.attached();
    log.end();
    expect(await reading).toEqual(log.frames);
    expect(log.sockets).toBe(4);
  });

  it("reads pages, with a break between them, of an object that takes no more sockets", async () => {
    const log = new ScriptedLog();
    log.full = true;
    log.say(1);
    const reading = readAll(log);
    await log.refusedOne();
    log.say(2);
    log.end();
    expect(await reading).toEqual(log.frames);
    expect(log.pages).toBe(2);
  });

  it("says so where the job is deleted, and throws where its object cannot be reached for long", async () => {
    const log = new ScriptedLog();
    log.say(2);
    const deleted = readAll(log, { between: () => log.delete() });
    await expect(deleted).rejects.toThrow("no more");
    const lost = new ScriptedLog({ pageSize: 1 });
    lost.say(2);
    await expect(readAll(lost, { between: () => lost.breakDown() })).rejects.toThrow("reset");
  });

  it("lets go of its socket as soon as its reader has gone, wherever it was", async () => {
    const amid = new ScriptedLog();
    amid.say(1);
    const gone = new AbortController();
    const reading = follow(readingOf(amid), gone.signal);
    await reading.next();
    const next = reading.next();
    await amid.attached();
    gone.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await amid.left();

    const opening = new ScriptedLog();
    const early = new AbortController();
    opening.beforeSocket = () => early.abort();
    const never = follow(readingOf(opening), early.signal);
    expect(await never.next()).toEqual({ done: false, value: [] });
    expect(await never.next()).toEqual({ done: true, value: undefined });
    await opening.left();
    expect(amid.open + opening.open).toBe(0);
  });

  it("is whole and in order, whatever happens to it (invariant 4)", async () => {
    const happening = fc.oneof(
      fc.record({ what: fc.constant("say"), count: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ what: fc.constantFrom("cut", "skip"), count: fc.constant(0) }),
    );
    const story = fc.record({
      said: fc.nat(20),
      after: fc.nat(10),
      pageSize: fc.integer({ min: 1, max: 7 }),
      maxBacklog: fc.constantFrom(1, 60, 1_000),
      happenings: fc.array(happening, { maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(story, async ({ said, after, pageSize, maxBacklog, happenings }) => {
        const log = new ScriptedLog({ pageSize });
        log.say(said + after);
        const rest = [...happenings];
        const between = () => {
          const { what = "end", count = 0 } = rest.shift() ?? {};
          if (what === "end") return log.end();
          if (what === "cut") log.cut();
          // The log goes on with each of them, so no reader has to wait for nothing.
          log.say(Math.max(1, count));
          if (what === "skip") log.send({ seq: log.frames.length + 2, json: "{}" });
        };
        const reading = readAll(log, { after, maxBacklog, between });
        if (said === 0) {
          await log.attached();
          log.say(1);
        }
        expect(await reading).toEqual(log.frames.slice(after));
      }),
      { numRuns: 60 },
    );
  });
});

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import firstRelease from "../support/first-release.json";
import {
  across,
  keep,
  recorded,
  shapesOf,
  strip,
  type Exchange,
  type Kept,
  type Release,
} from "./release.ts";
import { STORIES, tell } from "./stories.ts";
import { envWith, straight } from "./worker-side.ts";
import { events, holdClock, job, logged, newName, objectOf, view, wakeWhenDue } from "./support.ts";

const RELEASE = firstRelease as unknown as Release;
/** An hour no test's clock comes near, so that no alarm of a story rings by itself. */
const ONCE_UPON_A_TIME = Date.parse("2040-01-01T00:00:00Z");

holdClock();
beforeEach(() => {
  vi.setSystemTime(ONCE_UPON_A_TIME);
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** Today's Worker and today's object, written down: a line for each exchange. */
async function record(): Promise<string> {
  const stories: string[] = [];
  for (const story of Object.keys(STORIES)) {
    vi.setSystemTime(ONCE_UPON_A_TIME);
    const exchanges: Exchange[] = [];
    const told = await tell(story, `story-${story}`, envWith(recorded(exchanges)));
    const lines = exchanges.map((exchange) => JSON.stringify(exchange)).join(",\n");
    stories.push(`"${story}":{"told":${JSON.stringify(told)},"exchanges":[\n${lines}\n]}`);
  }
  return `{\n${stories.join(",\n")}\n}\n`;
}

if (Reflect.get(env, "RECORD_RELEASE")) {
  it("a release is written down", async () => {
    await expect(await record()).toMatchFileSnapshot("../support/first-release.json");
  });
}

/** A new object with another one's rows. */
async function heir(kept: Kept): Promise<string> {
  const name = newName();
  await keep(name, kept);
  await evictDurableObject(objectOf(name));
  return name;
}

/** Asks what was asked then, at the same times, and expects all that was answered then. */
async function expectSameTold(name: string, exchanges: Exchange[]): Promise<void> {
  for (const { at, method, args, answer } of exchanges) {
    vi.setSystemTime(at);
    const told = await straight(name)(method, args);
    expect({ method, told: legible(told) }).toMatchObject({ method, told: legible(answer) });
  }
}

/** An answer whose log lines can be compared field by field. */
function legible(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null), (name, value: unknown) =>
    name === "json" ? (JSON.parse(String(value)) as unknown) : value,
  );
}

const TERMINAL = new Set(["completed", "failed", "cancelled"]);

/** Leaves the job to its alarms: it ends once, and its log only grows. A job that is gone stays gone. */
async function expectToEnd(name: string): Promise<void> {
  const found = await job(name).log(0);
  if (found.type !== "found") return expect(found.type).toBe("gone");
  const before = await events(name);
  for (let alarms = 0; !TERMINAL.has((await view(name)).status); alarms++) {
    if (alarms > 1_000) throw new Error("the job never ends");
    await wakeWhenDue(name);
  }
  const after = await events(name);
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after.map(({ seq }) => seq)).toEqual(after.map((_, at) => at + 1));
  expect(after.filter(({ type }) => TERMINAL.has(type))).toEqual(after.slice(-1));
  expect((await view(name)).status).toBe(after.at(-1)?.type);
}

describe.each(Object.entries(RELEASE))("the story of the job that is %s", (story, recording) => {
  const { exchanges, told } = recording;

  it("F39: ends the same between this Worker and an object of the first release (invariants 2 and 4)", async () => {
    expect(await tell(story, newName(), envWith(across(RELEASE)))).toMatchObject(told);
  });

  it("F39: ends the same between a Worker of the first release and this object (invariants 2 and 4)", async () => {
    await expectSameTold(newName(), exchanges);
  });

  it("F39: is told on to an object that has what one of the first release had kept (invariants 4 and 5)", async () => {
    for (const [at, { kept }] of exchanges.entries()) {
      if (kept !== undefined) await expectSameTold(await heir(kept), exchanges.slice(at + 1));
    }
  }, 30_000);

  it("F39: ends by alarms alone from whatever an object of the first release had kept (invariants 1, 2 and 4)", async () => {
    for (const { at, kept } of exchanges) {
      if (kept === undefined) continue;
      vi.setSystemTime(at);
      await expectToEnd(await heir(kept));
    }
  }, 30_000);
});

describe("what the first release has no name for", () => {
  const known = shapesOf(RELEASE);

  it("F39: is known from stories that are told to this day", () => {
    expect(Object.keys(RELEASE)).not.toEqual([]);
    expect(Object.keys(STORIES)).toEqual(expect.arrayContaining(Object.keys(RELEASE)));
  });

  it("F39: is all that is taken out on the way to its objects, and back", () => {
    const { exchanges } = RELEASE["parts"] ?? { exchanges: [] };
    for (const { method, args, answer } of exchanges) {
      const shape = known.get(method);
      expect(strip(answer, shape?.answer)).toEqual(answer);
      expect(args.map((arg, at) => strip(arg, shape?.args[at]))).toEqual(args);
    }
    const part = { part: 0, text: "Rayleigh ", ttftMs: 0 };
    expect(strip({ ...part, tomorrow: true }, known.get("append")?.args[1])).toEqual(part);
  });

  it("F39: is a method that its objects do not have, and the Worker says so in its own words", async () => {
    const beforeCancelling = structuredClone(RELEASE);
    for (const story of Object.values(beforeCancelling)) {
      story.exchanges = story.exchanges.filter(({ method }) => method !== "cancel");
    }
    const older = envWith(across(beforeCancelling));
    expect((await tell("cancelled", newName(), older)).body["status"]).toBe("completed");
    expect(logged.at(-1)).toContain("job.completed");
    expect(logged.some((line) => line.includes('"error":"TypeError"'))).toBe(true);
  });
});

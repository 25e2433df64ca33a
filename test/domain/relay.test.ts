import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Part } from "../../src/domain/command.ts";
import { MAX_PART_CHARS } from "../../src/domain/pace.ts";
import { Relay } from "../../src/consumer/relay.ts";

/** The defaults of the settings. */
const PACE = { watchedJoinMs: 50, unwatchedJoinMs: 5_000, pulseMs: 1_000 };

/** What a job was told, and when: milliseconds since the relay began. */
type Report = Part & { at: number };

/** A relay to a job that takes `answerMs` to answer, by the test's own clock. */
function relayTo(job: { watched?: boolean; go?: boolean; answerMs?: number } = {}) {
  const state = { watched: true, go: true, answerMs: 0, ...job };
  const began = Date.now();
  const reports: Report[] = [];
  const onStop = vi.fn<() => void>();
  let inFlight = 0;
  let mostInFlight = 0;
  const pulses: Report[] = [];
  const told = (to: Report[]) => async (part: Part) => {
    mostInFlight = Math.max(mostInFlight, ++inFlight);
    to.push({ at: Date.now() - began, ...part });
    if (state.answerMs > 0) await new Promise((resolve) => setTimeout(resolve, state.answerMs));
    inFlight--;
    return { go: state.go, watched: state.watched };
  };
  const relay = new Relay(PACE, state.watched, {
    report: told(reports),
    pulse: told(pulses),
    onStop,
    now: Date.now,
  });
  const texts = () => reports.map(({ at, text }): [number, string] => [at, text]);
  return { relay, state, reports, pulses, onStop, texts, most: () => mostInFlight };
}

function pass(ms: number): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(ms);
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("while somebody watches", () => {
  it("the first text goes out at once, and the time to it is measured", async () => {
    const { relay, reports } = relayTo();
    await pass(620);
    relay.push("Hello");
    expect(reports).toEqual([{ at: 620, part: 0, text: "Hello", ttftMs: 620 }]);
    expect(relay.ttftMs).toBe(620);
  });

  it("text that follows is joined for 50 ms", async () => {
    const { relay, texts } = relayTo();
    relay.push("a");
    await pass(10);
    relay.push("b");
    await pass(30);
    relay.push("c");
    await pass(9);
    expect(texts()).toEqual([[0, "a"]]);
    await pass(1);
    expect(texts()).toEqual([
      [0, "a"],
      [50, "bc"],
    ]);
  });

  it("text after a pause goes out at once", async () => {
    const { relay, texts } = relayTo();
    relay.push("a");
    await pass(400);
    relay.push("b");
    expect(texts()).toEqual([
      [0, "a"],
      [400, "b"],
    ]);
  });

  it("no text waits for more than 50 ms as long as the job answers at once", async () => {
    const { relay, reports } = relayTo();
    for (let ms = 0; ms < 3_000; ms += 7) {
      relay.push(`${ms} `);
      await pass(7);
    }
    for (const { at, text } of reports) {
      for (const said of text.trim().split(" ")) expect(at - Number(said)).toBeLessThanOrEqual(50);
    }
    const { part, text: rest } = await relay.close();
    const whole = reports.map(({ text }) => text).join("") + rest;
    expect(whole.trim().split(" ")).toHaveLength(429);
    expect(part).toBe(reports.length);
  });
});

describe("while nobody watches", () => {
  it("text is joined for 5 s, the first as well", async () => {
    const { relay, texts } = relayTo({ watched: false });
    for (let ms = 0; ms < 11_000; ms += 500) {
      relay.push(String((ms / 500) % 10));
      await pass(500);
    }
    expect(texts()).toEqual([
      [5_000, "0123456789"],
      [10_000, "0123456789"],
    ]);
  });

  it("the job is asked each second all the same, and shown the text that waits", async () => {
    const { relay, reports, pulses } = relayTo({ watched: false });
    relay.push("a");
    await pass(1_500);
    relay.push("b");
    await pass(1_500);
    expect(pulses.map(({ at, part, text }) => [at, part, text])).toEqual([
      [0, 0, "a"],
      [1_000, 0, "a"],
      [2_000, 0, "ab"],
      [3_000, 0, "ab"],
    ]);
    expect(reports).toEqual([]);
    expect(await relay.close()).toEqual({ part: 0, text: "ab", ttftMs: 0 });
  });

  it("the first text goes out at once where the answer to it says that somebody has come", async () => {
    const { relay, state, texts } = relayTo({ watched: false });
    await pass(300);
    state.watched = true;
    relay.push("a");
    await pass(1);
    expect(texts()).toEqual([[300, "a"]]);
  });

  it("text that waits goes out as soon as an answer says that somebody has come", async () => {
    const { relay, state, texts } = relayTo({ watched: false });
    relay.push("a");
    await pass(10);
    state.watched = true;
    await pass(990);
    expect(texts()).toEqual([[1_000, "a"]]);
  });
});

describe("a silent model", () => {
  it("the job is asked each second, and never told of a first token", async () => {
    const { relay, reports, pulses } = relayTo();
    await pass(2_500);
    expect(pulses).toEqual([
      { at: 1_000, part: 0, text: "", ttftMs: null },
      { at: 2_000, part: 0, text: "", ttftMs: null },
    ]);
    expect(reports).toEqual([]);
    expect(await relay.close()).toEqual({ part: 0, text: "", ttftMs: null });
  });
});

describe("a job that is slow to answer", () => {
  it("gets one report at a time, and all that came meanwhile with the next", async () => {
    const { relay, texts, most } = relayTo({ answerMs: 300 });
    for (const text of "abcdef") {
      relay.push(text);
      await pass(100);
    }
    await pass(300);
    expect(texts()).toEqual([
      [0, "a"],
      [300, "bc"],
      [600, "def"],
    ]);
    expect(most()).toBe(1);
  });

  it("invariant 5: its parts are numbered without a gap and hold all that was said", async () => {
    const says = fc.record({ text: fc.string({ minLength: 1 }), ms: fc.nat({ max: 400 }) });
    const job = fc.record({ answerMs: fc.nat({ max: 2_000 }), watched: fc.boolean() });
    const property = fc.asyncProperty(job, fc.array(says), async (job, words) => {
      const { relay, reports, most } = relayTo(job);
      for (const { text, ms } of words) {
        relay.push(text);
        await pass(ms);
      }
      const closing = relay.close();
      await pass(job.answerMs);
      const rest = await closing;
      const parts = [...reports, rest];
      expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index));
      expect(parts.map(({ text }) => text).join("")).toBe(words.map(({ text }) => text).join(""));
      expect(most()).toBeLessThanOrEqual(1);
    });
    await fc.assert(property, { numRuns: 50 });
  });
});

describe("a character of two halves", () => {
  it("is never split between two parts, wherever the model's own parts end", async () => {
    const text = fc.string({ unit: fc.constantFrom("🦜", "é", "a", "👩‍👧"), minLength: 1 });
    const cuts = fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 8 });
    const property = fc.asyncProperty(text, cuts, async (text, cuts) => {
      const { relay, reports, pulses } = relayTo();
      for (const [index, unit] of text.split("").entries()) {
        relay.push(unit);
        await pass(cuts[index % cuts.length] ?? 0);
      }
      const parts = [...reports, await relay.close()].map(({ text }) => text);
      expect(parts.join("")).toBe(text);
      const shown = [...parts, ...pulses.map(({ text }) => text)];
      expect(shown.filter((part) => !part.isWellFormed())).toEqual([]);
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it("stays whole where a part is as long as a part may be", async () => {
    const { relay, texts } = relayTo();
    relay.push(`${"a".repeat(MAX_PART_CHARS - 1)}🦜b`);
    await pass(50);
    const parts = texts().map(([, text]) => text);
    expect(parts.map(({ length }) => length)).toEqual([MAX_PART_CHARS - 1, 3]);
    expect(parts[1]).toBe("🦜b");
  });
});

describe("closing", () => {
  it("hands back the part that was not sent, and sends nothing more", async () => {
    const { relay, reports } = relayTo();
    relay.push("a");
    await pass(10);
    relay.push("b");
    expect(await relay.close()).toEqual({ part: 1, text: "b", ttftMs: 0 });
    await pass(10_000);
    expect(reports).toHaveLength(1);
  });

  it("waits for the report under way", async () => {
    const { relay } = relayTo({ answerMs: 300 });
    relay.push("a");
    const closed = vi.fn<() => void>();
    void relay.close().then(closed);
    await pass(299);
    expect(closed).not.toHaveBeenCalled();
    await pass(1);
    expect(closed).toHaveBeenCalled();
  });

  it("leaves no part longer than a part may be", async () => {
    const { relay, texts } = relayTo({ answerMs: 300 });
    relay.push("a");
    relay.push("b".repeat(2 * MAX_PART_CHARS + 1));
    const closing = relay.close();
    await pass(900);
    const rest = await closing;
    expect(texts().map(([, text]) => text.length)).toEqual([1, MAX_PART_CHARS, MAX_PART_CHARS]);
    expect(rest).toEqual({ part: 3, text: "b", ttftMs: 0 });
  });
});

describe("a job that says stop", () => {
  it("is obeyed once, and is told nothing more", async () => {
    const { relay, state, reports, onStop } = relayTo();
    relay.push("a");
    await pass(10);
    state.go = false;
    relay.push("b");
    await pass(40);
    expect(onStop).toHaveBeenCalledTimes(1);
    relay.push("c");
    await pass(10_000);
    await relay.close();
    expect(onStop).toHaveBeenCalledTimes(1);
    expect(reports.map(({ text }) => text)).toEqual(["a", "b"]);
  });

  it("stops a silent call within a second", async () => {
    const { onStop } = relayTo({ go: false });
    await pass(1_000);
    expect(onStop).toHaveBeenCalledTimes(1);
  });
});

import { describe, expect, it } from "vitest";

import { MAX_PART_CHARS, pulseAt, textAt, type PaceState } from "../../src/domain/pace.ts";

const SETTINGS = { watchedJoinMs: 50, unwatchedJoinMs: 5_000, pulseMs: 1_000 };

/** Somebody watches; text was passed on at 10,000 and more has been waiting since 10,010. */
function stateOf(over: Partial<PaceState> = {}): PaceState {
  return {
    watched: true,
    pendingSince: 10_010,
    pendingChars: 5,
    lastTextAt: 10_000,
    lastReportAt: 10_000,
    shown: true,
    ...over,
  };
}

describe("waiting text goes out", () => {
  it.each<[string, Partial<PaceState>, number]>([
    ["never while there is none", { pendingSince: null, pendingChars: 0 }, Infinity],
    ["at once if it is the first", { lastTextAt: null }, 10_010],
    [
      "5 s after it came if it is the first and nobody watches",
      { lastTextAt: null, watched: false },
      15_010,
    ],
    ["50 ms after the text before it while somebody watches", {}, 10_050],
    ["at once after a pause", { pendingSince: 10_900 }, 10_900],
    ["at once the moment a pause is over", { pendingSince: 10_050 }, 10_050],
    ["5 s after the text before it while nobody does", { watched: false }, 15_000],
    [
      "no sooner after a pause that nobody watched",
      { watched: false, pendingSince: 15_500 },
      15_500,
    ],
    ["at once if it fills a part", { pendingChars: MAX_PART_CHARS, watched: false }, 10_010],
  ])("%s", (_, over, at) => {
    expect(textAt(stateOf(over), SETTINGS)).toBe(at);
  });
});

it("the job is asked a second after it was last spoken to, text or no text", () => {
  expect(pulseAt(stateOf(), SETTINGS)).toBe(11_000);
  expect(pulseAt(stateOf({ pendingSince: null, watched: false }), SETTINGS)).toBe(11_000);
});

it("the job is asked as soon as there is a first text to show", () => {
  const first = { shown: false, lastTextAt: null };
  expect(pulseAt(stateOf(first), SETTINGS)).toBe(10_010);
  expect(pulseAt(stateOf({ ...first, pendingSince: null }), SETTINGS)).toBe(11_000);
});

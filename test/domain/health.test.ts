import { describe, expect, it } from "vitest";

import { checkDeadLetters, checkProvider, checkQueue } from "../../src/domain/health.ts";
import { NOW, providerState, SECOND } from "./fixtures.ts";

const aged = (seconds: number | null) => ({
  queue: "jobs-normal",
  backlog: {
    messages: 12,
    bytes: 1_440,
    oldestAt: seconds === null ? null : NOW - seconds * SECOND,
  },
});

describe("a queue", () => {
  it.each([
    ["is empty", aged(null), "ok"],
    ["moves", aged(4), "ok"],
    ["is as slow as it may be", aged(300), "ok"],
    ["is slower", aged(301), "the oldest of 12 messages is 301 s old, more than 300 s"],
    ["has a clock ahead of ours", aged(-900), "ok"],
    ["does not answer", { queue: "jobs-normal", backlog: null }, "unreachable"],
  ])("that %s is told as it is", (_, report, check) => {
    expect(checkQueue(report, 300, NOW)).toBe(check);
  });
});

describe("dead letters", () => {
  it.each([
    [0, "ok"],
    [100, "ok"],
    [101, "101 dead letters, more than 100"],
    [null, "unreachable"],
  ])("of depth %s are told as they are", (depth, check) => {
    expect(checkDeadLetters(depth, 100)).toBe(check);
  });
});

const parked = { high: 1, normal: 0, low: 6, long: 2 };
const waiting = (seconds: number) =>
  providerState({ parked, oldestParkedAt: NOW - seconds * SECOND });

describe("a provider", () => {
  it.each([
    ["has nobody who waits", providerState(), "ok"],
    ["is blocked for a while", providerState({ blockedUntil: NOW + 20 * SECOND }), "ok"],
    ["has its turns in time", waiting(300), "ok"],
    ["has not", waiting(301), "the oldest of 9 parked jobs has waited for 301 s, more than 300 s"],
    ["is paused", providerState({ paused: true }), "paused, and 0 jobs wait"],
    ["is paused while jobs wait", { ...waiting(4), paused: true }, "paused, and 9 jobs wait"],
    ["does not say since when", withoutAge(), "ok"],
    ["does not answer", null, "unreachable"],
  ])("that %s is told as it is", (_, state, check) => {
    expect(checkProvider({ provider: "openai", state }, 300, NOW)).toBe(check);
  });
});

/** As an older version tells it. */
function withoutAge() {
  const { oldestParkedAt: _, ...older } = waiting(900);
  return older;
}

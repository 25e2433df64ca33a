import { describe, expect, it } from "vitest";

import { checkDeadLetters, checkQueue } from "../../src/domain/health.ts";
import { NOW, SECOND } from "./fixtures.ts";

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

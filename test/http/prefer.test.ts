import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { preferredWait } from "../../src/http/prefer.ts";

describe("a Prefer header", () => {
  it.each([
    ["wait=10", 10],
    ["wait=0", 0],
    ["Wait=10", 10],
    ["WAIT = 10", 10],
    [' wait="10" ', 10],
    ["respond-async, wait=10", 10],
    ["respond-async,wait=10", 10],
    ["wait=10; strict", 10],
    ["wait=10;strict=yes, respond-async", 10],
    ['return=minimal; foo="some parameter", wait=7', 7],
    ['foo="a, wait=1", wait=2', 2],
    [String.raw`foo="a \" , wait=1", wait=2`, 2],
    [", , wait=3", 3],
  ])("asks in %j to wait for %i seconds", (header, seconds) => {
    expect(preferredWait(header)).toBe(seconds);
  });

  it.each([
    [undefined],
    [""],
    ["respond-async"],
    ["wait"],
    ["wait="],
    ["wait=soon"],
    ["wait=-1"],
    ["wait=1.5"],
    ["wait=10s"],
    ['wait="10'],
    ["await=10"],
    ["wait-for=10"],
    ["foo; wait=10"],
    ["foo wait=10"],
    ['foo="wait=10"'],
    ['foo=", wait=10"'],
    [`wait=10, ${"x".repeat(2_000)}`],
  ])("does not ask to wait in %j", (header) => {
    expect(preferredWait(header)).toBeNull();
  });

  it("counts at its first mention only", () => {
    expect(preferredWait("wait=5, wait=10")).toBe(5);
    expect(preferredWait("wait=soon, wait=10")).toBeNull();
  });

  it("is held as long as any request at most", () => {
    expect(preferredWait("wait=60")).toBe(60);
    expect(preferredWait("wait=61")).toBe(60);
    expect(preferredWait("wait=999999999")).toBe(60);
  });

  it("may be anything", () => {
    const text = fc.stringMatching(/^(?:wait|=|[\d",;\\ a]){0,60}$/);
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (header) => {
        const seconds = preferredWait(header);
        expect(seconds === null || (seconds >= 0 && seconds <= 60)).toBe(true);
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { depthOf } from "../../src/domain/json-depth.ts";

/** How deep a value nests, found by going down into it. */
function depthOfValue(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOfValue));
}

const MARKS = ["{", "}", "[", "]", '"', "\\", ":", ",", "a", "u", "\n", "\u2028", "🦜"];

/** Text made of what JSON is made of, so that a scanner that misreads one quote goes wrong. */
const text = fc.string({ unit: fc.constantFrom(...MARKS), maxLength: 12 });
const leaf = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 7, withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4 }),
  ),
}));

describe("the depth of a body", () => {
  it.each([
    ["a number", "1", 0],
    ["a string", '"{"', 0],
    ["nothing", "", 0],
    ["an empty object", "{}", 1],
    ["a list in an object", '{"a":[]}', 2],
    ["lists side by side", "[[],[],[]]", 2],
    ["brackets in a string", '["[[[["]', 1],
    ["brackets in a key", '{"[{[{": 1}', 1],
    ["brackets behind an escaped quote", String.raw`["\"[[["]`, 1],
    ["brackets behind a string that ends in a backslash", String.raw`["\\", [[]]]`, 3],
    ["brackets behind an escaped backslash and quote", String.raw`["\\\"[[", []]`, 2],
    ["a string that never ends", '["[[[[', 1],
    ["brackets that never close", "[[[[", 4],
    ["a backslash at the very end", '"\\', 0],
  ])("of %s, %s, is %i", (_, json, depth) => {
    expect(depthOf(json)).toBe(depth);
  });

  it("is that of the value, for every value and however it is spaced", () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        expect(depthOf(JSON.stringify(value, null, space))).toBe(depthOfValue(value));
      }),
      { numRuns: 1_000 },
    );
  });

  it("is found without going down into it: a million brackets are no danger", () => {
    expect(depthOf("[".repeat(1_000_000))).toBe(1_000_000);
  });
});

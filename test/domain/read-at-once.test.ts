import { expect, it } from "vitest";

import { readAtOnce } from "../../src/domain/read-at-once.ts";

it.each([
  ["two before any is known", null, 2],
  ["eight short ones", 200, 8],
  ["eight where they just fit", 2_097_152, 8],
  ["fewer of long ones", 2_097_153, 7],
  ["two of the longest answers", 8_388_608, 2],
  ["one of what is longer than all may be", 50_000_000, 1],
])("results are read %s", (_, longest, count) => {
  expect(readAtOnce(longest)).toBe(count);
});

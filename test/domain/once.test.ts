import { expect, it } from "vitest";

import { Once } from "../../src/domain/once.ts";
import { MINUTE, NOW } from "./fixtures.ts";

it("what is heard again within a minute is not heard for the first time", () => {
  const once = new Once();
  expect(once.isFirst("a", NOW)).toBe(true);
  expect(once.isFirst("b", NOW + MINUTE / 2)).toBe(true);
  expect(once.isFirst("a", NOW + MINUTE - 1)).toBe(false);
  expect(once.isFirst("a", NOW + MINUTE)).toBe(true);
  expect(once.isFirst("b", NOW + MINUTE)).toBe(false);
});

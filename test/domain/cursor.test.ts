import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { cursorOf, placeAt } from "../../src/domain/cursor.ts";
import { positionAt } from "../../src/domain/letter-view.ts";

describe("a cursor", () => {
  const position = fc.record({
    failedAt: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    id: fc.integer({ min: 0, max: 999_999_999_999 }),
  });

  it("leads back to its place, and can stand in an URL as it is", () => {
    fc.assert(
      fc.property(position, (at) => {
        const cursor = cursorOf(at.failedAt, at.id);
        expect(cursor).toMatch(/^[A-Za-z0-9]{1,64}$/);
        expect(positionAt(cursor)).toEqual(at);
      }),
    );
  });

  it("that is not ours leads nowhere, and never throws", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom("A", "M", "T", "k", "4", ".", "=", "/", "+", "-", "🦉"),
        }),
        (text) => {
          const found = positionAt(text);
          if (found !== null) expect(positionAt(cursorOf(found.failedAt, found.id))).toEqual(found);
        },
      ),
    );
    for (const foreign of ["", "A", "AAAAA", "MTIz", "1.2", "MS4y=", "LTEuMg"]) {
      expect(positionAt(foreign)).toBeNull();
    }
  });

  it("of jobs leads back to its place too, whatever the job is called", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4_102_444_800_000 }),
        fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
        (instant, id) => {
          const cursor = cursorOf(instant, id);
          expect(cursor).toMatch(/^[A-Za-z0-9]{1,200}$/);
          expect(placeAt(cursor)).toEqual({ instant, id });
        },
      ),
    );
  });
});

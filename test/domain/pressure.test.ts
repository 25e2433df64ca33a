import { describe, expect, it } from "vitest";

import { Pressure } from "../../src/domain/pressure.ts";
import { NOW, SECOND } from "./fixtures.ts";

/** One that has heard so many words a second, evenly, for two seconds. */
function after(perSecond: number): Pressure {
  const pressure = new Pressure();
  for (let word = 0; word < 2 * perSecond; word++)
    pressure.heard(NOW + (word * SECOND) / perSecond);
  return pressure;
}

describe("an object", () => {
  it.each([
    [50, 0],
    [150, 500],
    [300, 500],
    [900, 1_500],
  ])("that hears %i words a second asks to be spared for %i ms", (perSecond, restMs) => {
    const asked = after(perSecond).restMs(NOW + 2 * SECOND);
    expect(asked).toBeGreaterThanOrEqual(restMs);
    expect(asked).toBeLessThanOrEqual(restMs * 1.1);
  });

  it("that has heard nothing lately can hear everything", () => {
    const pressure = after(900);
    expect(pressure.restMs(NOW + 2.5 * SECOND)).toBeGreaterThan(0);
    expect(pressure.restMs(NOW + 4 * SECOND)).toBe(0);
    pressure.heard(NOW + 9 * SECOND);
    expect(pressure.restMs(NOW + 9 * SECOND)).toBe(0);
  });

  it("comes to some hundred words a second, with however many who would speak after each rest", () => {
    for (const speakers of [100, 1_000]) {
      const pressure = new Pressure();
      const next = Array.from({ length: speakers }, (_, at) => NOW + at);
      let words = 0;
      for (let now = NOW; now < NOW + 20 * SECOND; now++) {
        for (const [at, due] of next.entries()) {
          if (due > now) continue;
          pressure.heard(now);
          if (now >= NOW + 10 * SECOND) words++;
          next[at] = now + Math.max(100, pressure.restMs(now));
        }
      }
      expect(words / 10).toBeLessThan(900);
    }
  });
});

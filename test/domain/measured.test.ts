import { describe, expect, it } from "vitest";

import type { Lane } from "../../src/domain/lane.ts";
import {
  meanTokens,
  measured,
  NOTHING_MEASURED,
  overtakenPerSecond,
  serviceTimesOf,
  type Measured,
  type Served,
} from "../../src/domain/measured.ts";
import { PermitBlocks } from "../../src/domain/permit-blocks.ts";
import { meanServiceMs, UNKNOWN_SERVICE_MS } from "../../src/domain/service-times.ts";
import { HOUR, NOW, SECOND } from "./fixtures.ts";

function served(over: Partial<Served> = {}): Served {
  return { lane: "normal", model: "fast", ms: 4 * SECOND, tokens: 100, ...over };
}

/** After so many calls in each of these lanes, one a second. */
function after(calls: number, ...lanes: Lane[]): Measured {
  let known = NOTHING_MEASURED;
  for (let at = 0; at < calls; at++) {
    for (const lane of lanes) known = measured(known, [served({ lane })], NOW + at * SECOND);
  }
  return known;
}

describe("what is measured of a provider", () => {
  it("is each lane's own time", () => {
    const normal = measured(NOTHING_MEASURED, [served()], NOW);
    const both = measured(normal, [served({ lane: "long", ms: 300 * SECOND })], NOW);
    const meanOf = (lane: Lane) => meanServiceMs(serviceTimesOf(both, lane));
    expect([meanOf("normal"), meanOf("long")]).toEqual([4 * SECOND, 300 * SECOND]);
    expect(meanOf("high")).toBe(UNKNOWN_SERVICE_MS);
  });

  it("is the tokens of a call over all lanes, of those that say", () => {
    expect(meanTokens(NOTHING_MEASURED)).toBeNull();
    const calls = [served({ tokens: 50 }), served({ tokens: null }), served({ tokens: 150 })];
    const normal = measured(NOTHING_MEASURED, calls, NOW);
    expect(meanTokens(normal)).toBe(100);
    expect(meanTokens(measured(normal, [served({ lane: "low", tokens: 400 })], NOW))).toBe(200);
  });

  it("is nothing new where no call was answered", () => {
    const known = after(1, "normal");
    expect(measured(known, [], NOW)).toBe(known);
  });
});

describe("what an isolate has measured", () => {
  it("is told once, of a hundred calls at most", () => {
    const blocks = new PermitBlocks();
    for (let calls = 0; calls < 101; calls++) blocks.measure(served({ ms: calls }));
    const told = blocks.asker(NOW).served ?? [];
    expect([told.length, told[0], told.at(-1)]).toEqual([
      100,
      served({ ms: 0 }),
      served({ ms: 99 }),
    ]);
    expect(blocks.news().served).toEqual([]);
  });
});

describe("how many overtake", () => {
  it.each<[Lane, number]>([
    ["high", 0],
    ["normal", 1],
    ["low", 2],
    ["long", 2],
  ])(
    "is nobody a foremost lane's jobs, and the better lanes' calls for others: %s",
    (lane, rate) => {
      const known = after(10 * 3_600, "high", "normal", "low", "long");
      expect(overtakenPerSecond(known, lane, NOW + 10 * HOUR)).toBeCloseTo(rate, 1);
    },
  );

  it("is fewer once they come no more", () => {
    const known = after(3_600, "high");
    const [soon = 0, later = 0] = [1, 2].map((hours) =>
      overtakenPerSecond(known, "low", NOW + hours * HOUR),
    );
    expect(later).toBeCloseTo(soon / 2);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  countOf,
  mergeHistograms,
  NOTHING_SEEN,
  percentile,
  RELATIVE_ERROR,
  seen,
  type Histogram,
} from "../../src/domain/histogram.ts";
import { DAY } from "./fixtures.ts";

const span = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 60 * DAY }));

function histogramOf(spans: number[]): Histogram {
  return spans.map(seen).reduce(mergeHistograms, NOTHING_SEEN);
}

/** By nearest rank: the smallest that at least this fraction does not exceed. */
function exact(spans: number[], rank: number): number {
  const sorted = spans.toSorted((a, b) => a - b);
  return sorted[Math.ceil(rank * sorted.length) - 1] ?? Number.NaN;
}

describe("a percentile", () => {
  it("of nothing is unknown", () => {
    expect(percentile(NOTHING_SEEN, 0.5)).toBeNull();
    expect(percentile(seen(null), 0.5)).toBeNull();
  });

  it.each([0, 1, 2, 3, 7, 9])("of %i ms alone is just that", (ms) => {
    expect(percentile(seen(ms), 0.5)).toBe(ms);
  });

  it("of a clock that went back is zero", () => {
    expect(percentile(seen(-5), 0.99)).toBe(0);
  });

  it("is within its documented error of the exact one, whatever was seen", () => {
    const rank = fc.constantFrom(0.01, 0.5, 0.95, 0.99, 1);
    fc.assert(
      fc.property(fc.array(span, { minLength: 1, maxLength: 200 }), rank, (spans, rank) => {
        const truth = exact(spans, rank);
        const told = percentile(histogramOf(spans), rank) ?? Number.NaN;
        // A hair more, for logarithms at the very edge of a bucket.
        expect(Math.abs(told - truth)).toBeLessThanOrEqual(truth * (RELATIVE_ERROR + 1e-9) + 0.5);
      }),
      { numRuns: 500 },
    );
  });
});

describe("histograms", () => {
  const histogram = fc.array(span, { maxLength: 30 }).map(histogramOf);

  it("merge in any order to the same", () => {
    fc.assert(
      fc.property(histogram, histogram, histogram, (a, b, c) => {
        expect(mergeHistograms(a, b)).toEqual(mergeHistograms(b, a));
        const left = mergeHistograms(mergeHistograms(a, b), c);
        expect(left).toEqual(mergeHistograms(a, mergeHistograms(b, c)));
        expect(mergeHistograms(a, NOTHING_SEEN)).toEqual(a);
      }),
    );
  });

  it("lose nothing when they merge", () => {
    fc.assert(
      fc.property(histogram, histogram, (a, b) => {
        expect(countOf(mergeHistograms(a, b))).toBe(countOf(a) + countOf(b));
      }),
    );
  });

  it("stay small however much they see: a day in milliseconds is some 200 buckets", () => {
    const spans = Array.from({ length: 20_000 }, (_, at) => Math.floor((at / 20_000) ** 4 * DAY));
    expect(histogramOf(spans).size).toBeLessThan(200);
  });
});

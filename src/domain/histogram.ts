/**
 * How often each size of a number was seen, in buckets that grow by a constant factor: their boundaries are the same for
 * ever and everywhere, so histograms are merged by adding. Keys are bucket numbers; a bucket nobody fell into is absent.
 */
export type Histogram = ReadonlyMap<number, number>;

/** A percentile is off by at most this fraction of itself, and half a millisecond for being told in whole ones. */
export const RELATIVE_ERROR = 0.05;

/** With G for it: bucket 0 holds 0, bucket 1 all above and up to 1, bucket n all above G^(n-2) and up to G^(n-1). */
const GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);

export const NOTHING_SEEN: Histogram = new Map();

/** The histogram of one number; of nothing, if it was not measured. A clock that went back counts as zero. */
export function seen(ms: number | null): Histogram {
  return ms === null ? NOTHING_SEEN : new Map([[bucketOf(ms), 1]]);
}

export function mergeHistograms(a: Histogram, b: Histogram): Histogram {
  const merged = new Map(a);
  for (const [bucket, count] of b) merged.set(bucket, (merged.get(bucket) ?? 0) + count);
  return merged;
}

/** How many numbers were seen. */
export function countOf(histogram: Histogram): number {
  let all = 0;
  for (const count of histogram.values()) all += count;
  return all;
}

/** The smallest number that at least the fraction `rank` (in (0, 1]) of all does not exceed; null if there were none. */
export function percentile(histogram: Histogram, rank: number): number | null {
  let left = Math.ceil(rank * countOf(histogram));
  for (const [bucket, count] of [...histogram].toSorted(([a], [b]) => a - b)) {
    left -= count;
    if (left <= 0) return Math.round(middleOf(bucket));
  }
  return null;
}

/** How many of the numbers are `ms` at most, each told as a percentile is: within RELATIVE_ERROR of itself. */
export function countUpTo(histogram: Histogram, ms: number): number {
  let all = 0;
  for (const [bucket, count] of histogram) if (middleOf(bucket) <= ms) all += count;
  return all;
}

/** The sum of the numbers, each told likewise. */
export function sumOf(histogram: Histogram): number {
  let sum = 0;
  for (const [bucket, count] of histogram) sum += middleOf(bucket) * count;
  return sum;
}

function bucketOf(ms: number): number {
  return ms <= 1 ? Math.max(0, Math.ceil(ms)) : 1 + Math.ceil(Math.log(ms) / Math.log(GROWTH));
}

/** The one value that is equally wrong, relative to it, at both ends of the bucket. */
function middleOf(bucket: number): number {
  return bucket <= 1 ? bucket : (2 * GROWTH ** (bucket - 1)) / (GROWTH + 1);
}

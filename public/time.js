// @ts-check

/**
 * A span in three digits or so: what a reader compares.
 *
 * @param {number} ms
 */
export function span(ms) {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** @param {string} instant */
export function clockTime(instant) {
  return new Date(instant).toLocaleTimeString();
}

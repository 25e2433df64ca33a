/** Results of a batch read side by side at most, and characters of them: a Worker has 128 MB (platform limit) for all its readers. */
const MOST_RESULTS = 8;
const MOST_CHARS = 16_777_216;

/** Before any is known: little is lost if they are short, and little is held if they are not. */
const AT_FIRST = 2;

/** How many results to read side by side. `longest`: of the lines so far, in characters; null: there are none yet. */
export function readAtOnce(longest: number | null): number {
  if (longest === null) return AT_FIRST;
  const fitting = Math.floor(MOST_CHARS / Math.max(1, longest));
  return Math.min(MOST_RESULTS, Math.max(1, fitting));
}

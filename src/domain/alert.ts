/**
 * What a change of depth means: an alert is raised when more letters are open than the threshold, and once only;
 * it is lowered, and so armed again, when they are as many as the threshold or fewer.
 */
export function alertChange(
  depth: number,
  threshold: number,
  raised: boolean,
): "raise" | "lower" | null {
  if (depth > threshold) return raised ? null : "raise";
  return raised ? "lower" : null;
}

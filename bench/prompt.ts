/** What the model is to do, as the benchmark's provider reads it: spans in milliseconds. */
export function promptFor(answer: { tokens: number; every?: number; first?: number }): string {
  const { tokens, every = 0, first = 0 } = answer;
  return `tokens=${tokens} every=${every} first=${first}`;
}

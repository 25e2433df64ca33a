/** An instant, in epoch milliseconds, as everybody outside reads it: RFC 3339 in UTC. */
export function iso(instant: number): string {
  return new Date(instant).toISOString();
}

import type { JobView } from "../schema/job.ts";

/** What of a job changes by the minute and means nothing, and its texts, which follow from the rest. */
const VOLATILE = [
  "last_seq",
  "queue_position",
  "estimated_wait",
  "result",
  "partial_output",
] as const;

/**
 * A job's version as an ETag: the same until something of it changes that is worth an answer. Weak (RFC 9110, 8.8.1):
 * places in the queue and the last `seq` may differ under it; a text that is shown counts by its length.
 */
export async function etagOf(view: JobView): Promise<string> {
  const stable: Partial<JobView> = { ...view };
  for (const field of VOLATILE) delete stable[field];
  const words = JSON.stringify([stable, view.partial_output?.length ?? 0]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(words));
  const start = new Uint8Array(digest).subarray(0, 12);
  return `W/"${Array.from(start, (byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}

/** Whether an If-None-Match names this version. Source: RFC 9110, 13.1.2 (weak comparison). */
export function namesVersion(header: string | undefined, etag: string): boolean {
  const named = new Set((header ?? "").split(",").map(bareTag));
  return named.has(bareTag(etag)) || named.has("*");
}

function bareTag(tag: string): string {
  return tag.trim().replace(/^W\//, "");
}

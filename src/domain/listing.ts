import type { JobStatus, JobView } from "../schema/job.ts";
import { modelOf } from "./course.ts";
import { hasEnded, type Job } from "./job.ts";
import { viewOf } from "./view.ts";

/** `open`: not ended yet. Whether it is queued or active the job itself says, so a listing is never out of date. */
export const LISTING_STATUSES = ["open", "completed", "failed", "cancelled"] as const;
export type ListingStatus = (typeof LISTING_STATUSES)[number];

/**
 * A job's entry in its tenant's list. A job has one at a time, in its latest status; `view` is the job without its text,
 * as it was then. Instants are epoch milliseconds.
 */
export type Listing = {
  jobId: string;
  status: ListingStatus;
  model: string;
  submittedAt: number;
  view: JobView;
};

/** Names one entry among all there ever were: an id may be used again once its key has expired. */
export type ListingKey = Pick<Listing, "jobId" | "model" | "submittedAt">;

/** The job's entry as it stands; null once it is purged. */
export function listingOf(job: Job, now: number): Listing | null {
  if (job.status === "purged") return null;
  return {
    ...listingKeyOf(job),
    status: hasEnded(job) ? (job.status as ListingStatus) : "open",
    view: viewOf(job, now),
  };
}

export function listingKeyOf({ spec }: Job): ListingKey {
  return { jobId: spec.id, model: modelOf(spec), submittedAt: spec.submittedAt };
}

/** A place in the order of the list. */
export type ListingPosition = Pick<Listing, "submittedAt" | "jobId">;

/** Which entries: newest first, strictly behind `before`. Absent filters admit all. */
export type ListingQuery = {
  statuses: readonly ListingStatus[];
  model: string | null;
  /** Epoch milliseconds, exclusive. */
  createdAfter: number | null;
  before: ListingPosition | null;
  limit: number;
};

/** An entry as it is kept and handed on: its view stays text until somebody shows it. */
export type StoredListing = Omit<Listing, "view"> & { json: string };

/** Where jobs of this status are found; null: of any. Of open ones each job must be asked which of the two it is. */
export function statusesOf(status: JobStatus | null): readonly ListingStatus[] {
  switch (status) {
    case null:
      return LISTING_STATUSES;
    case "queued":
    case "active":
      return ["open"];
    case "completed":
    case "failed":
    case "cancelled":
      return [status];
  }
}

/** The order of the list: negative if `a` comes first. */
export function newestFirst(a: ListingPosition, b: ListingPosition): number {
  if (a.submittedAt !== b.submittedAt) return b.submittedAt - a.submittedAt;
  return a.jobId === b.jobId ? 0 : a.jobId > b.jobId ? -1 : 1;
}

/** The first `limit` of several runs, each of them newest first. Takes from a run only what it needs. */
export function mergeNewest<T extends ListingPosition>(runs: Iterable<T>[], limit: number): T[] {
  const heads = runs.flatMap((run) => {
    const rest = run[Symbol.iterator]();
    const head = rest.next();
    return head.done === true ? [] : [{ rest, entry: head.value }];
  });
  const merged: T[] = [];
  while (merged.length < limit && heads.length > 0) {
    const first = heads.reduce((a, b) => (newestFirst(a.entry, b.entry) <= 0 ? a : b));
    merged.push(first.entry);
    const next = first.rest.next();
    if (next.done === true) heads.splice(heads.indexOf(first), 1);
    else first.entry = next.value;
  }
  return merged;
}

import {
  mergeNewest,
  statusesOf,
  type ListingKey,
  type ListingPosition,
  type ListingQuery,
  type StoredListing,
} from "../domain/listing.ts";
import type { Found } from "../job/job-rpc.ts";
import type { ListingRpc } from "../ledgers/listing-rpc.ts";
import type { JobStatus, JobView } from "../schema/job.ts";
import type { ListedJob } from "../schema/listing.ts";

/** Most entries looked at for one page. More than the longest page, so that it is always full where it can be. */
const MAX_SCANNED = 200;

export type ListingFilter = {
  status: JobStatus | null;
  model: string | null;
  /** Epoch milliseconds, exclusive. */
  createdAfter: number | null;
};

export type ListingPorts = {
  /** All shards of the tenant's list. */
  shards: ListingRpc[];
  /** A job as it stands now. */
  glance(id: string): Promise<Found<JobView>>;
  now(): number;
  /** Takes out an entry whose job is no more. The page does not wait for it. */
  discard(shard: ListingRpc, key: ListingKey): void;
};

/** `next`: where the next page starts; null: this is the last. */
export type ListingPage = { jobs: ListedJob[]; next: ListingPosition | null };

type Entry = StoredListing & { shard: ListingRpc };

/**
 * One page of a tenant's jobs, newest first, each as it is now: one that was open when it was last heard of is
 * asked itself.
 *
 * Where many entries do not fit the filter the page may be short, or empty, and yet not the last. Rejects if a
 * shard cannot be reached.
 */
export async function listJobs(
  filter: ListingFilter,
  before: ListingPosition | null,
  limit: number,
  ports: ListingPorts,
): Promise<ListingPage> {
  const { model, createdAfter } = filter;
  const query = { statuses: statusesOf(filter.status), model, createdAfter };
  const jobs: ListedJob[] = [];
  let position = before;
  let width = limit;
  for (let scanned = 0; ; width = Math.min(width * 2, MAX_SCANNED - scanned)) {
    const { entries, more } = await entriesOf({ ...query, before: position, limit: width }, ports);
    const views = await Promise.all(entries.map((entry) => viewNow(entry, ports)));
    for (const [at, { submittedAt, jobId }] of entries.entries()) {
      const view = views[at];
      position = { submittedAt, jobId };
      if (view == null || (filter.status !== null && view.status !== filter.status)) continue;
      jobs.push(view);
      if (jobs.length < limit) continue;
      return { jobs, next: more || at + 1 < entries.length ? position : null };
    }
    if (!more) return { jobs, next: null };
    scanned += entries.length;
    if (scanned >= MAX_SCANNED) return { jobs, next: position };
  }
}

/** The next entries of all shards in one order. `more`: there are others behind them. */
async function entriesOf(
  query: ListingQuery,
  { shards }: ListingPorts,
): Promise<{ entries: Entry[]; more: boolean }> {
  const wanted = query.limit + 1;
  const runs = await Promise.all(
    shards.map(async (shard) => {
      const run = await shard.list({ ...query, limit: wanted });
      return run.map((entry) => Object.assign(entry, { shard }));
    }),
  );
  const merged = mergeNewest(runs, wanted);
  return { entries: merged.slice(0, query.limit), more: merged.length === wanted };
}

/** The job of an entry as it is now; null if it is no more, and then the entry goes as well. */
async function viewNow(entry: Entry, ports: ListingPorts): Promise<ListedJob | null> {
  const stored = JSON.parse(entry.json) as ListedJob;
  const view = entry.status === "open" ? await openNow(entry.jobId, stored, ports) : stored;
  if (view !== null && !hasExpired(view, ports.now())) return view;
  const { shard, jobId, model, submittedAt } = entry;
  ports.discard(shard, { jobId, model, submittedAt });
  return null;
}

/** A job that does not answer is shown as it was: one object in trouble must not take the list with it. */
async function openNow(
  id: string,
  stored: ListedJob,
  ports: ListingPorts,
): Promise<ListedJob | null> {
  const found = await ports.glance(id).catch(() => null);
  if (found === null) return stored;
  if (found.type !== "found") return null;
  // An id may be used again once its key has expired: then this entry is of the job before.
  return found.value.submitted_at === stored.submitted_at ? withoutText(found.value) : null;
}

function withoutText({ result: _result, partial_output: _partial, ...view }: JobView): ListedJob {
  return view;
}

/** Whether its content is due to be deleted: it answers 410 from then on. */
function hasExpired({ retained_until }: ListedJob, now: number): boolean {
  return retained_until !== undefined && Date.parse(retained_until) <= now;
}

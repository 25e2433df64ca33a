import { endOf, itemId, jobOf, letterAt } from "../domain/batch.ts";
import type { Batch, BatchLogEvent, BatchSpec } from "../domain/batch.ts";
import type { CustomIds } from "../domain/batch-draft.ts";
import { batchStatusOf } from "../domain/batch-view.ts";
import type { BatchStore } from "../storage/batch-store.ts";
import type { BatchLogPage, Entry, EntryPage } from "./batch-rpc.ts";

/** Most events of one page of the log. */
const PAGE_EVENTS = 1_000;

/** How a run of the items stands. */
export function entriesOf(
  batch: Batch,
  customIds: CustomIds,
  from: number,
  most: number,
): EntryPage {
  const end = Math.min(batch.spec.total, from + most);
  const indexes = Array.from({ length: Math.max(0, end - from) }, (_, at) => from + at);
  const entries = indexes.map((index) => entryOf(batch, customIds, index));
  return { entries, more: end < batch.spec.total, isComplete: batch.endedAt !== null };
}

function entryOf(batch: Batch, customIds: CustomIds, index: number): Entry {
  const error = batch.refusals[index];
  return {
    custom_id: customIds[index] ?? null,
    index,
    job_id: jobOf(batch, index).jobId,
    status: endOf(letterAt(batch, index)),
    ...(error === undefined ? {} : { error }),
  };
}

/** A run of the log after `after`, and where the batch stands. */
export function logPageOf(batch: Batch, store: BatchStore, after: number): BatchLogPage {
  const { events, more } = store.events(after, PAGE_EVENTS);
  return {
    batchId: batch.spec.id,
    status: batchStatusOf(batch),
    lastSeq: batch.seq,
    ended: batch.endedAt !== null,
    events: events.map((event) => ({ seq: event.seq, json: wire(batch.spec, event) })),
    more,
  };
}

/** The first jobs of a batch, in the items' order. */
export function jobIdsOf(spec: BatchSpec): string[] {
  return Array.from({ length: spec.total }, (_, index) => itemId(spec, index));
}

function wire({ id: batch_id }: BatchSpec, { type, ...rest }: BatchLogEvent): string {
  return JSON.stringify({ type, batch_id, ...rest });
}

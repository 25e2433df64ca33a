import { countsOf, progressOf, retainedUntil, type Batch } from "./batch.ts";
import { iso } from "./instant.ts";
import { dollars } from "./money.ts";
import type { BatchStatus, BatchView } from "../schema/batch.ts";

export function batchStatusOf({ isCancelled, endedAt }: Batch): BatchStatus {
  if (endedAt === null) return isCancelled ? "cancelling" : "active";
  return isCancelled ? "cancelled" : "completed";
}

/** A batch as its owner sees it. */
export function batchViewOf(batch: Batch): BatchView {
  const { spec, promptTokens, completionTokens, costNano, endedAt, isCancelled } = batch;
  const counts = countsOf(batch);
  const until = retainedUntil(batch);
  return {
    batch_id: spec.id,
    status: batchStatusOf(batch),
    total: spec.total,
    progress: progressOf(counts, spec.total),
    status_counts: counts,
    is_complete: endedAt !== null,
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
    cost_usd: dollars(costNano),
    created_at: iso(spec.submittedAt),
    completed_at: endedAt === null || isCancelled ? null : iso(endedAt),
    ...(endedAt !== null && isCancelled ? { cancelled_at: iso(endedAt) } : {}),
    metadata: spec.metadata,
    last_seq: batch.seq,
    ...(until === null ? {} : { retained_until: iso(until) }),
  };
}

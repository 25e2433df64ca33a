import type {
  DeadLetterGroup,
  DeadLetterItem,
  DeadLetterView,
  OperationView,
} from "../schema/dead-letter.ts";
import type { DeadLetter, LetterGroup, LetterPosition, LetterSummary } from "./dead-letter.ts";
import { placeAt } from "./cursor.ts";
import { iso } from "./instant.ts";
import type { Operation } from "./operation.ts";

/** A letter as lists show it; `withPreview` false: nothing of its prompt. */
export function itemOf(letter: LetterSummary, withPreview: boolean): DeadLetterItem {
  return {
    dlq_id: letter.dlqId,
    original_job_id: letter.jobId,
    error: letter.error,
    error_code: letter.errorCode,
    fingerprint: letter.fingerprint,
    failed_at: iso(letter.failedAt),
    attempts: letter.attempts,
    model: letter.model,
    tenant: letter.tenant,
    prompt_preview: withPreview ? letter.preview : null,
  };
}

export function letterView(
  letter: DeadLetter & Pick<LetterSummary, "fingerprint" | "preview">,
  withPreview: boolean,
): DeadLetterView {
  return {
    ...itemOf({ ...letter, attempts: letter.attempts.length }, withPreview),
    tier: letter.tier,
    provider: letter.provider,
    submitted_at: iso(letter.submittedAt),
    request: letter.request,
    attempt_history: letter.attempts,
  };
}

export function groupView(group: LetterGroup): DeadLetterGroup {
  return {
    fingerprint: group.fingerprint,
    error_code: group.errorCode,
    error: group.error,
    provider: group.provider,
    count: group.count,
    models: group.models,
    tenants: group.tenants,
    first_failed_at: iso(group.firstFailedAt),
    last_failed_at: iso(group.lastFailedAt),
    sample_dlq_ids: group.sampleDlqIds,
  };
}

export function operationView(operation: Operation): OperationView {
  return {
    operation_id: operation.operationId,
    action: operation.action,
    status: operation.endedAt === null ? "running" : "done",
    matched: operation.matched,
    done: operation.done,
    refused: operation.refused,
    rate_per_second: operation.ratePerSecond,
    started_at: iso(operation.startedAt),
    ended_at: operation.endedAt === null ? null : iso(operation.endedAt),
    errors: operation.errors.map(({ dlqId, detail }) => ({ dlq_id: dlqId, detail })),
  };
}

/** Null: no cursor of ours. */
export function positionAt(cursor: string): LetterPosition | null {
  const place = placeAt(cursor);
  if (place === null || !/^\d{1,15}$/.test(place.id)) return null;
  return { failedAt: place.instant, id: Number(place.id) };
}

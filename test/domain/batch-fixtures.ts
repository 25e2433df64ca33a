import type { Batch, BatchSpec } from "../../src/domain/batch.ts";
import type { Told } from "../../src/domain/batch-place.ts";
import {
  acceptBatch,
  batchTransition,
  type BatchCommand,
} from "../../src/domain/batch-transition.ts";
import { itemId, itemUid, tasksOf } from "../../src/domain/batch.ts";
import { DAY, frozen, NOW } from "./fixtures.ts";

export function batchSpecOf(over: Partial<BatchSpec> = {}): BatchSpec {
  return {
    id: "nightly",
    uid: "uid-of-nightly",
    tenant: "acme",
    tier: "pro",
    idempotencyKey: "nightly",
    fingerprint: "fingerprint",
    total: 3,
    reserved: true,
    submittedAt: NOW,
    retentionMs: 7 * DAY,
    keyExpiresAt: NOW + DAY,
    metadata: {},
    ...over,
  };
}

export function acceptedBatch(over: Partial<BatchSpec> = {}): Batch {
  return acceptBatch(batchSpecOf(over)).batch;
}

/** What a batch becomes, its input frozen so that a change of it would be seen. */
export function applied(batch: Batch, command: BatchCommand, now = NOW) {
  return batchTransition(frozen(batch), frozen(command), [], now);
}

/** The batch after commands given at `NOW`. */
export function batchAfter(batch: Batch, ...commands: BatchCommand[]): Batch {
  return commands.reduce((at, command) => applied(at, command).batch, batch);
}

/** What the first job of an item tells. */
export function toldBy(index: number, status: Told["status"], over: Partial<Told> = {}): Told {
  const spec = batchSpecOf();
  const job = { index, round: 0, jobId: itemId(spec, index), uid: itemUid(spec, index) };
  const identity = { batchUid: spec.uid, ...job };
  return { ...identity, status, promptTokens: 9, completionTokens: 90, costNano: 1_000, ...over };
}

export function hear(...told: Told[]): BatchCommand {
  return { type: "hear", told };
}

/** The step that carries out all that is to be done, with success. */
export function stepOf(batch: Batch): BatchCommand {
  const outcomes = tasksOf(batch).map(({ index, type }) => {
    if (type === "cancel") return { index, type: "asked" as const };
    const round = (batch.retries[index]?.round ?? 0) + (type === "resubmit" ? 1 : 0);
    const [jobId, uid] = [
      round === 0 ? itemId(batch.spec, index) : `job-${index}-${round}`,
      round === 0 ? itemUid(batch.spec, index) : `uid-${index}-${round}`,
    ];
    return { index, type: "submitted" as const, round, jobId, uid };
  });
  return { type: "step", outcomes };
}

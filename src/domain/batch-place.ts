import { billOf } from "./bill.ts";
import { hasBegun } from "./course.ts";
import type { Job } from "./job.ts";

/**
 * Where in a batch a job is. `uid`: the batch's, for its id may be another's once it is gone, and a dead letter lives for
 * long. `round`: how often its item was tried again before.
 */
export type BatchPlace = { id: string; uid: string; index: number; total: number; round: number };

/** What a batch is told of one of its jobs. Money in billionths of a dollar. */
export type Told = {
  batchUid: string;
  index: number;
  round: number;
  jobId: string;
  uid: string;
  status: "active" | "completed" | "failed" | "cancelled";
  /** Of all its calls, once it has ended. */
  promptTokens: number;
  completionTokens: number;
  costNano: number;
};

/** All of a job that its batch is told of; null: nothing, for it is in none or has not begun. */
export function batchStandingOf(job: Job): Told["status"] | null {
  return job.spec.batch === undefined ? null : toldStatusOf(job);
}

/** What the batch of a job is to know of it now; null: nothing. */
export function toldOf(job: Job): Told | null {
  const { batch, id: jobId, uid } = job.spec;
  const status = toldStatusOf(job);
  if (batch === undefined || status === null) return null;
  const { uid: batchUid, index, round } = batch;
  const bill = status === "active" ? null : billOf(job);
  const { promptTokens = 0, completionTokens = 0, costNano = 0 } = bill ?? {};
  const cost = { promptTokens, completionTokens, costNano };
  return { batchUid, index, round, jobId, uid, status, ...cost };
}

/** From its first call, or step, to its end a job is active to its batch: what it waits for between two calls is its own affair. */
function toldStatusOf(job: Job): Told["status"] | null {
  switch (job.status) {
    case "queued":
    case "active":
    case "waiting":
    case "failing":
      return hasBegun(job) ? "active" : null;
    case "purged":
      // One that ended otherwise has told so before it went, and nothing ends twice.
      return "cancelled";
    case "completed":
    case "failed":
    case "cancelled":
      return job.status;
  }
}

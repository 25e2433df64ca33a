import type { Quota, Refusal } from "../domain/account.ts";
import type { BatchSpec } from "../domain/batch.ts";
import type { Told } from "../domain/batch-place.ts";
import type { Submission } from "../domain/job.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import type { Found } from "../job/job-rpc.ts";
import type { BatchResult, BatchStatus, BatchView } from "../schema/batch.ts";
import type { Tier } from "../schema/job.ts";

/** What a batch is made of. `items`: JSON of `BatchItems` in UTF-8, which the object need not take apart to keep it. */
export type BatchContent = {
  items: Uint8Array;
  customIds: (string | null)[] | null;
  worstNano: (number | null)[] | null;
};

export type BatchSubmitted =
  | { type: "accepted" | "replayed"; spec: BatchSpec; jobIds: string[] }
  | { type: "reused" | "gone" };

/** `quota`: what is left of the tenant's limits, where they were asked. `refused`: by them; null where its account could not be reached. */
export type FailedRetried =
  | { type: "retried"; retried: number; view: BatchView; quota: Quota | null }
  | { type: "cancelled" }
  | { type: "refused"; refusal: Refusal | null; worstNano: number | null };

/** How an item stands. `status` null: it has not ended. `error`: why no job could be made of it. */
export type Entry = Pick<BatchResult, "custom_id" | "index" | "job_id"> & {
  status: BatchResult["status"] | null;
  error?: string;
};

/** A run of the items. `more`: there are items behind the last one given. */
export type EntryPage = { entries: Entry[]; more: boolean; isComplete: boolean };

/** A run of the log, and where the batch stood; each event's JSON starts with its type. */
export type BatchLogPage = {
  batchId: string;
  status: BatchStatus;
  lastSeq: number;
  ended: boolean;
  events: { seq: number; json: string }[];
  more: boolean;
};

/**
 * A batch's object from outside. Each call may be repeated without harm. `tenant`: whose batch the caller takes it for;
 * another's is unknown.
 */
export interface BatchRpc {
  submit(spec: BatchSpec, content: BatchContent): Promise<BatchSubmitted>;
  /** What a submission of this id is answered that makes no batch; null: it would make one. */
  recall(submission: Submission): Promise<BatchSubmitted | null>;
  /** How one of its jobs stands. Answered once that is written down. */
  hear(told: Told): Promise<void>;
  read(tenant: string): Promise<Found<BatchView>>;
  cancel(tenant: string): Promise<Found<BatchView>>;
  /** Tries all items again that have failed, if the tenant's limits let all of them in. */
  retryFailed(
    by: { limits: TenantLimits; tier: Tier },
    tenant: string,
  ): Promise<Found<FailedRetried>>;
  entries(from: number, most: number, tenant: string): Promise<Found<EntryPage>>;
  log(after: number, tenant: string): Promise<Found<BatchLogPage>>;
}

import { askedBy, type FollowedLog } from "../followed.ts";
import { batchName } from "../ids.ts";
import type { BatchLogPage, BatchRpc } from "./batch-rpc.ts";

/** The batch of this id of a tenant. Take a new one after a call has thrown. */
export async function batchOf(env: Env, tenant: string, batchId: string): Promise<BatchRpc> {
  return batchNamed(env, await batchName(tenant, batchId));
}

/** The same by its object's name. */
export function batchNamed(env: Env, name: string): BatchRpc {
  return env.BATCHES.getByName(name);
}

/** Its log, as its tenant asks for it. */
export function batchLog(batch: BatchRpc, tenant: string): FollowedLog<BatchLogPage> {
  return {
    log: (after) => batch.log(after, tenant),
    fetch: (request) => batch.fetch(askedBy(tenant, request)),
  };
}

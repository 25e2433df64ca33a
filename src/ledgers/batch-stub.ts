import { batchName } from "../ids.ts";
import type { BatchRpc } from "./batch-rpc.ts";

/** The batch of this id of a tenant. Take a new one after a call has thrown. */
export async function batchOf(env: Env, tenant: string, batchId: string): Promise<BatchRpc> {
  return env.BATCHES.getByName(await batchName(tenant, batchId));
}

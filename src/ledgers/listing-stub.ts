import { LISTING_SHARDS, shardName, shardOf } from "../ids.ts";
import type { ListingRpc } from "./listing-rpc.ts";

/** The shard that holds the entry of a tenant's job. Take a new one after a call has thrown. */
export async function shardFor(env: Env, tenant: string, jobId: string): Promise<ListingRpc> {
  return env.LISTINGS.getByName(await shardName(tenant, await shardOf(jobId)));
}

/** All shards of a tenant's list. */
export async function shardsOf(env: Env, tenant: string): Promise<ListingRpc[]> {
  const names = Array.from({ length: LISTING_SHARDS }, (_, shard) => shardName(tenant, shard));
  return (await Promise.all(names)).map((name) => env.LISTINGS.getByName(name));
}

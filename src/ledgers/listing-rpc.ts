import type { Listing, ListingKey, ListingQuery, StoredListing } from "../domain/listing.ts";

/** One shard of a tenant's list of jobs. Each call may be repeated without harm. */
export interface ListingRpc {
  /** Puts the entry in the place of any other of the same key. An entry that has ended is never opened again. */
  put(listing: Listing): Promise<void>;
  remove(key: ListingKey): Promise<void>;
  list(query: ListingQuery): Promise<StoredListing[]>;
}

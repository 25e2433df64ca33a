import { DurableObject } from "cloudflare:workers";

import type { Listing, ListingKey, ListingQuery, StoredListing } from "../domain/listing.ts";
import { ListingStore } from "../storage/listing-store.ts";

/** One shard of a tenant's list of jobs: what the jobs themselves have told it (docs/listing.md). */
export class ListingObject extends DurableObject<Env> {
  readonly #store = new ListingStore(this.ctx.storage);

  put(listing: Listing): void {
    this.#store.put(listing);
  }

  remove(key: ListingKey): void {
    this.#store.remove(key);
  }

  list(query: ListingQuery): StoredListing[] {
    return this.#store.list(query);
  }
}

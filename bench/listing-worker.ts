import worker, { ListingObject as Product } from "afterword";

import { shardName, shardOf } from "../src/ids.ts";
import type { JobView } from "../src/schema/job.ts";
import { entryAt, type Fill } from "./listing-entries.ts";

export * from "afterword";

/** The tenant that everybody is with AUTH_MODE=none. */
const TENANT = "dev";

/** The product, unchanged, but that a shard of a list can be filled without as many jobs. */
export class ListingObject extends Product {
  /** Answers how many bytes the shard's database has by then. */
  fill(plan: Fill): number {
    // Oldest first, as they come: the other way round the pages of the database would be half empty.
    for (let at = plan.from + plan.count - 1; at >= plan.from; at--) this.put(entryAt(plan, at));
    return this.ctx.storage.sql.databaseSize;
  }
}

export default {
  fetch: async (...args: Parameters<typeof worker.fetch>) => {
    const [request, { LISTINGS }] = args;
    switch (new URL(request.url).pathname) {
      case "/api/bench/fill": {
        const plan = (await request.json()) as Fill;
        const shard = LISTINGS.getByName(await shardName(TENANT, plan.shard));
        return Response.json(await shard.fill(plan));
      }
      case "/api/bench/open": {
        const view = (await request.json()) as JobView;
        const { job_id: jobId, model, submitted_at } = view;
        const shard = LISTINGS.getByName(await shardName(TENANT, await shardOf(jobId)));
        const submittedAt = Date.parse(submitted_at);
        await shard.put({ jobId, status: "open", model, submittedAt, view });
        return Response.json({});
      }
      default:
        return worker.fetch(...args);
    }
  },
  queue: (...args: Parameters<typeof worker.queue>) => worker.queue(...args),
};

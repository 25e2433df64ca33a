import { consume } from "./consumer.ts";
import { createApp } from "./http/app.ts";
import { writeLanePoints } from "./lane-points.ts";

export { JobObject } from "./job-object.ts";
export { AccountObject } from "./ledgers/account-object.ts";
export { BatchObject } from "./ledgers/batch-object.ts";
export { ClaimObject } from "./ledgers/claim-object.ts";
export { DeadLetterObject } from "./ledgers/dead-letter-object.ts";
export { DirectoryObject } from "./ledgers/directory-object.ts";
export { GateObject } from "./ledgers/gate-object.ts";
export { ListingObject } from "./ledgers/listing-object.ts";
export { ProviderObject } from "./ledgers/provider-object.ts";
export { StatsObject } from "./ledgers/stats-object.ts";
export { TenantObject } from "./ledgers/tenant-object.ts";

const app = createApp();

export default {
  fetch: app.fetch,
  queue: consume,
  scheduled: (_, env, ctx) => ctx.waitUntil(writeLanePoints(env)),
} satisfies ExportedHandler<Env>;

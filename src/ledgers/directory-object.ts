import { DurableObject } from "cloudflare:workers";

const PREFIX = "tenant:";

/** Which tenants there are: a row for each name and nothing else, in the order of the names. */
export class DirectoryObject extends DurableObject<Env> {
  add(tenant: string): void {
    const { kv } = this.ctx.storage;
    if (kv.get(PREFIX + tenant) === undefined) kv.put(PREFIX + tenant, true);
  }

  list(after: string | null, limit: number): string[] {
    const from = after === null ? {} : { startAfter: PREFIX + after };
    const rows = this.ctx.storage.kv.list({ prefix: PREFIX, limit, ...from });
    return Array.from(rows, ([key]) => key.slice(PREFIX.length));
  }
}

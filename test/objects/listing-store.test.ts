import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  LISTING_STATUSES,
  newestFirst,
  type Listing,
  type ListingKey,
  type ListingPosition,
  type ListingQuery,
  type StoredListing,
} from "../../src/domain/listing.ts";
import { accept } from "../../src/domain/transition.ts";
import { viewOf } from "../../src/domain/view.ts";
import { ListingStore } from "../../src/storage/listing-store.ts";
import { newName, specOf } from "./support.ts";

const QUEUED = accept(specOf({ submittedAt: 0 }));
if (!QUEUED.ok) throw new Error("a new job was refused");
const VIEW = viewOf(QUEUED.job, 0);

const MODELS = ["gpt-4o", "gpt-4o-mini", "anthropic/claude"];
const ALL: Omit<ListingQuery, "limit"> = {
  statuses: LISTING_STATUSES,
  model: null,
  createdAfter: null,
  before: null,
};

function listing(key: ListingKey, status: Listing["status"], progress = 0): Listing {
  return { ...key, status, view: { ...VIEW, progress } };
}

/** Does something with the store of an object that nobody has used. */
function withStore<T>(use: (store: ListingStore, storage: DurableObjectStorage) => T): Promise<T> {
  return runInDurableObject(env.LISTINGS.getByName(newName()), (_shard, { storage }) =>
    use(new ListingStore(storage), storage),
  );
}

/** A store on the same rows, and how many of them the platform bills for what was done with it since last asked. */
function counting({ sql }: DurableObjectStorage) {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const exec = (query: string, ...bindings: unknown[]) => {
    const cursor = sql.exec(query, ...bindings);
    cursors.push(cursor);
    return cursor;
  };
  const rows = (billed: "rowsRead" | "rowsWritten") =>
    cursors.splice(0).reduce((sum, cursor) => sum + cursor[billed], 0);
  return { store: new ListingStore({ sql: { exec } as SqlStorage }), rows };
}

/** What a store does, said in the plainest way. */
class PlainList {
  #entries: Listing[] = [];

  put(entry: Listing): void {
    const known = this.#entries.find((other) => sameKey(other, entry));
    if (known !== undefined && known.status !== "open" && entry.status === "open") return;
    this.remove(entry);
    this.#entries.push(entry);
  }

  remove(key: ListingKey): void {
    this.#entries = this.#entries.filter((entry) => !sameKey(entry, key));
  }

  list({ statuses, model, createdAfter, before, limit }: ListingQuery): StoredListing[] {
    return this.#entries
      .filter(({ status }) => statuses.includes(status))
      .filter((entry) => model === null || entry.model === model)
      .filter(({ submittedAt }) => createdAfter === null || submittedAt > createdAfter)
      .filter((entry) => before === null || newestFirst(before, entry) < 0)
      .toSorted(newestFirst)
      .slice(0, limit)
      .map(({ view, ...entry }) => Object.assign(entry, { json: JSON.stringify(view) }));
  }
}

function sameKey(a: ListingKey, b: ListingKey): boolean {
  return a.jobId === b.jobId && a.model === b.model && a.submittedAt === b.submittedAt;
}

/** Few of each, so that they meet. A position is one job's: no two models share it. */
const Key = fc
  .record({ at: fc.integer({ min: 0, max: 7 }), id: fc.integer({ min: 0, max: 5 }) })
  .map(({ at, id }) => {
    return { submittedAt: at, jobId: `job-${id}`, model: MODELS[(at + id) % 3] ?? "" };
  });
const Status = fc.constantFrom(...LISTING_STATUSES);
const Step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("put" as const),
      key: Key,
      status: Status,
      progress: fc.constantFrom(0, 10),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("remove" as const), key: Key }) },
);
const Filter = fc.record({
  statuses: fc.subarray([...LISTING_STATUSES]),
  model: fc.constantFrom(null, "gpt-5", ...MODELS),
  createdAfter: fc.option(fc.integer({ min: -1, max: 8 })),
  before: fc.option(Key),
  limit: fc.integer({ min: 1, max: 40 }),
});

describe("a shard's store", () => {
  it("lists what a plain list would, whatever was put, removed and asked", async () => {
    const property = fc.asyncProperty(
      fc.array(Step, { maxLength: 60 }),
      fc.array(Filter, { minLength: 1, maxLength: 10 }),
      (steps, filters) =>
        withStore((store) => {
          const plain = new PlainList();
          for (const step of steps) {
            for (const list of [store, plain]) {
              if (step.type === "remove") list.remove(step.key);
              else list.put(listing(step.key, step.status, step.progress));
            }
          }
          for (const filter of [...filters, { ...ALL, limit: 100 }]) {
            expect(store.list(filter)).toEqual(plain.list(filter));
          }
        }),
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("lists page by page what it lists at once", async () => {
    const keys = fc.array(Key, { maxLength: 60 });
    const property = fc.asyncProperty(keys, Filter, (put, { limit, ...filter }) =>
      withStore((store) => {
        for (const [at, key] of put.entries()) {
          store.put(listing(key, LISTING_STATUSES[at % 4] ?? "open"));
        }
        const paged: StoredListing[] = [];
        let before: ListingPosition | null = filter.before;
        for (;;) {
          const page = store.list({ ...filter, before, limit });
          paged.push(...page);
          before = page.at(-1) ?? null;
          if (page.length < limit) break;
        }
        expect(paged).toEqual(store.list({ ...filter, limit: 1_000 }));
      }),
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("writes one row for a submission, one for an end and one for a removal", async () => {
    const key = { jobId: "job-1", model: "gpt-4o", submittedAt: 1 };
    const written = await withStore((store, storage) => {
      store.put(listing({ ...key, jobId: "the first makes the table" }, "open"));
      const { store: counted, rows: rowsOf } = counting(storage);
      const rows = (use: () => void) => {
        use();
        return rowsOf("rowsWritten");
      };
      return [
        rows(() => counted.put(listing(key, "open"))),
        rows(() => counted.put(listing(key, "open"))),
        rows(() => counted.put(listing(key, "completed"))),
        rows(() => counted.put(listing(key, "completed"))),
        rows(() => counted.put(listing(key, "open"))),
        rows(() => counted.remove(key)),
        rows(() => counted.remove(key)),
      ];
    });
    expect(written).toEqual([1, 0, 1, 0, 0, 1, 0]);
  });

  it("reads no more than it lists, however much it holds", async () => {
    const read = await withStore((store, storage) => {
      for (let at = 0; at < 2_000; at++) {
        const key = { jobId: `job-${at}`, model: MODELS[at % 3] ?? "", submittedAt: at };
        store.put(listing(key, at === 7 ? "failed" : "completed"));
      }
      const { store: counted, rows } = counting(storage);
      const deep = { submittedAt: 1_000, jobId: "job-1000" };
      return [
        { ...ALL, limit: 20 },
        { ...ALL, limit: 20, before: deep },
        { ...ALL, limit: 20, statuses: ["failed" as const] },
        { ...ALL, limit: 20, model: "gpt-4o", createdAfter: 1_990 },
      ].map((query) => {
        counted.list(query);
        return rows("rowsRead");
      });
    });
    expect(Math.max(...read)).toBeLessThan(100);
  });

  it("that holds nothing is read and removed from without a trace", async () => {
    const tables = await withStore((store, storage) => {
      expect(store.list({ ...ALL, limit: 10 })).toEqual([]);
      store.remove({ jobId: "job-1", model: "gpt-4o", submittedAt: 1 });
      return storage.sql.exec("SELECT name FROM sqlite_master").toArray();
    });
    expect(tables).toEqual([]);
  });

  it("lets the entries of two jobs stand that had one id after another", async () => {
    const listed = await withStore((store) => {
      const key = { jobId: "test-123", model: "gpt-4o" };
      store.put(listing({ ...key, submittedAt: 1 }, "completed"));
      store.put(listing({ ...key, submittedAt: 2 }, "open"));
      store.remove({ ...key, submittedAt: 1 });
      return store.list({ ...ALL, limit: 10 });
    });
    expect(listed).toMatchObject([{ jobId: "test-123", submittedAt: 2, status: "open" }]);
  });
});

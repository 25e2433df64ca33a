import { env } from "cloudflare:workers";

import type { ChargeKey } from "../../src/domain/account.ts";
import type { Bill } from "../../src/domain/bill.ts";
import type { DeadLetter } from "../../src/domain/dead-letter.ts";
import type { Listing, ListingKey } from "../../src/domain/listing.ts";

/** What the jobs' ledgers were told of one entry: how it stands, or that it is gone. */
export type Told = { jobId: string; submittedAt: number; status: Listing["status"] | "gone" };

/** What a tenant's account was told of a job. */
export type Billed = ChargeKey & { job: string; bill: Bill };

/** What stands in for the ledgers: it keeps what they are told, in the order in which they hear it. */
export const ledgers = {
  told: [] as Told[],
  letters: new Map<string, DeadLetter>(),
  /** The batches in which letters came. */
  written: [] as DeadLetter[][],
  removed: [] as string[],
  billed: [] as Billed[],
  /** Every call, heard or not. */
  calls: 0,
  /** How long the next calls take, in milliseconds, one after another; those after them none. */
  delaysMs: [] as number[],
  /** While true, every call fails as it does to an object that is overloaded. */
  broken: false,
  /** Called as letters are written, before the answer. */
  onWrite: (): Promise<unknown> => Promise.resolve(),
  billsOf(job: string): Bill[] {
    return this.billed.filter((billed) => billed.job === job).map(({ bill }) => bill);
  },
  of(jobId: string): Told["status"][] {
    return this.told.filter((entry) => entry.jobId === jobId).map(({ status }) => status);
  },
};

async function answer(heard: () => void): Promise<void> {
  ledgers.calls++;
  const delayMs = ledgers.delaysMs.shift();
  if (delayMs !== undefined) await scheduler.wait(delayMs);
  if (ledgers.broken) throw new Error("overloaded");
  heard();
}

const listings = {
  put: ({ jobId, submittedAt, status }: Listing) =>
    answer(() => ledgers.told.push({ jobId, submittedAt, status })),
  remove: ({ jobId, submittedAt }: ListingKey) =>
    answer(() => ledgers.told.push({ jobId, submittedAt, status: "gone" })),
};

const letters = {
  add: async (batch: DeadLetter[]) => {
    await answer(() => {
      ledgers.written.push(batch);
      for (const letter of batch) ledgers.letters.set(letter.dlqId, letter);
    });
    await ledgers.onWrite();
  },
  retried: (dlqId: string) => answer(() => ledgers.letters.delete(dlqId)),
  remove: (dlqId: string) =>
    answer(() => {
      ledgers.removed.push(dlqId);
      ledgers.letters.delete(dlqId);
    }),
};

/** Its calls are not counted with those of the list: it hears at other times. */
const accounts = {
  settle: async (charge: Omit<Billed, "bill">, bill: Bill) => {
    if (ledgers.broken) throw new Error("overloaded");
    ledgers.billed.push({ ...charge, bill });
  },
};

/** Nobody here asks what the statistics heard. */
const stats = { note: () => Promise.resolve() };

/** Puts the ledgers into the tests' hands. All objects, and whatever comes after an eviction, share these very bindings. */
export function standInForLedgers(): void {
  Object.defineProperty(env.LISTINGS, "getByName", { value: () => listings });
  Object.defineProperty(env.LETTERS, "getByName", { value: () => letters });
  Object.defineProperty(env.ACCOUNTS, "getByName", { value: () => accounts });
  Object.defineProperty(env.STATS, "getByName", { value: () => stats });
}

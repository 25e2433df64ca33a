import type { Batch, BatchLogEvent, BatchSpec } from "../domain/batch.ts";
import type { BatchItems } from "../domain/batch-items.ts";
import type { Delivery } from "../domain/outbox.ts";

/** The most each item's job may cost (null: any sum). */
export type Worst = (number | null)[] | null;

/** What does not change: whose it is, and what of its items outlives their requests. */
export type About = { spec: BatchSpec; customIds: (string | null)[] | null; worstNano: Worst };

/** What one transition leaves behind, in one row: its events, what is to be delivered of them, and the batch after them. */
type Commit = { events: BatchLogEvent[]; batch: Omit<Batch, "spec">; bodies?: Bodies };

/** What is to be delivered, exactly as it is sent each time, by delivery. */
type Bodies = Record<string, string>;

/** That the id was used, and until when it is taken. */
type Gone = { tenant: string; until: number };

/** A run of a batch's log. `more`: there are events behind the last one given. */
export type BatchPage = { events: BatchLogEvent[]; more: boolean };

const ABOUT = "about";
const GONE = "gone";
const ITEMS = "items:";
const COMMIT = "commit:";

/** A row holds 2 MB (platform limit). */
const PART_BYTES = 1_500_000;

/** A batch's rows, in the key-value face of its object's SQLite, as a job's are. Reading one that never was writes nothing. */
export class BatchStore {
  readonly #storage: DurableObjectStorage;
  #about: About | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  load(): Batch | null {
    const about = this.about();
    if (about === null) return null;
    for (const [, { batch }] of this.#commits({ reverse: true, limit: 1 })) {
      return { ...batch, spec: about.spec };
    }
    return null;
  }

  about(): About | null {
    this.#about ??= this.#storage.kv.get<About>(ABOUT);
    return this.#about ?? null;
  }

  gone(): Gone | null {
    return this.#storage.kv.get<Gone>(GONE) ?? null;
  }

  /** `items`: JSON of `BatchItems` in UTF-8. */
  create(about: About, items: Uint8Array, batch: Batch, events: BatchLogEvent[]): void {
    this.#about = about;
    this.#storage.kv.put(ABOUT, about);
    for (let part = 0; part * PART_BYTES < items.length; part++) {
      const slice = items.slice(part * PART_BYTES, (part + 1) * PART_BYTES);
      this.#storage.kv.put(`${ITEMS}${part}`, slice);
    }
    this.#put(batch, events);
  }

  /** Writes one row: a new one for events, otherwise in the place of the last. */
  commit(batch: Batch, events: BatchLogEvent[], bodies: Bodies): void {
    const last = events.length > 0 ? undefined : this.#storage.kv.get<Commit>(keyOf(batch.seq));
    this.#put(batch, last?.events ?? events, last?.bodies ?? bodies);
  }

  /** What is to be delivered of the event `seq`; null if nothing is. */
  body({ id, seq }: Pick<Delivery, "id" | "seq">): string | null {
    for (const [, { bodies }] of this.#commits({ start: keyOf(seq), limit: 1 })) {
      return bodies?.[id] ?? null;
    }
    return null;
  }

  /** What is still needed of the requests; null once it is not. */
  items(): BatchItems | null {
    const decoder = new TextDecoder();
    let json = "";
    for (const [, bytes] of this.#storage.kv.list<Uint8Array>({ prefix: ITEMS })) {
      json += decoder.decode(bytes, { stream: true });
    }
    return json === "" ? null : (JSON.parse(json + decoder.decode()) as BatchItems);
  }

  dropItems(): void {
    const keys = [...this.#storage.kv.list({ prefix: ITEMS })].map(([key]) => key);
    for (const key of keys) this.#storage.kv.delete(key);
  }

  /** Events after `after`, whole rows, until there are about `most`. */
  events(after: number, most: number): BatchPage {
    const events: BatchLogEvent[] = [];
    for (const [, commit] of this.#commits({ startAfter: keyOf(after) })) {
      if (events.length >= most) return { events, more: true };
      events.push(...commit.events.filter(({ seq }) => seq > after));
    }
    return { events, more: false };
  }

  /** Deletes everything but the fact that the id was used. */
  purge(gone: Gone): Promise<void> {
    this.#about = undefined;
    const deleted = this.#storage.deleteAll();
    this.#storage.kv.put(GONE, gone);
    return deleted;
  }

  forget(): Promise<void> {
    this.#about = undefined;
    return this.#storage.deleteAll();
  }

  #put(changed: Batch, events: BatchLogEvent[], bodies: Bodies = {}): void {
    const { spec: _, ...batch } = changed;
    const told = Object.keys(bodies).length > 0 ? { bodies } : {};
    this.#storage.kv.put(keyOf(batch.seq), { events, batch, ...told } satisfies Commit);
  }

  #commits(range: Omit<SyncKvListOptions, "prefix">): Iterable<[string, Commit]> {
    return this.#storage.kv.list<Commit>({ prefix: COMMIT, ...range });
  }
}

/** Zero-padded, so that keys sort as their numbers do. */
function keyOf(seq: number): string {
  return COMMIT + String(seq).padStart(9, "0");
}

import { newCourse } from "../domain/course.ts";
import type { DistributiveOmit, Job, LogEvent } from "../domain/job.ts";
import type { Delivery, Outbox } from "../domain/outbox.ts";
import type { KeptRequest } from "../schema/job.ts";

/**
 * What one transition leaves behind, in one row: its events, and the job after them where it changed by
 * more than its log. A row is written whole or not at all, so no state is ever torn, and a row is what
 * the platform bills.
 */
type Commit = {
  events: LogEvent[];
  appended: number;
  said: number;
  job?: StoredJob;
  request?: Uint8Array;
  bodies?: Bodies;
};

/**
 * Jobs that were stored before there were webhooks have no outbox: they owe nobody anything. One of several steps that was
 * stored by a version without steps has no course: it is at its first.
 */
type StoredJob = DistributiveOmit<Job, "outbox"> & { outbox?: Outbox };

/** What is to be delivered of a transition's events, by the deliveries' ids: fixed bytes, whatever becomes of the job. */
export type Bodies = Record<string, string>;

/** A run of a job's log. `more`: there are events behind the last one given. */
export type Page = { events: LogEvent[]; more: boolean };

const PREFIX = "commit:";
const CARRIED = "carried:";

/** A row holds 2 MB (platform limit), and a character takes two bytes of it where one is not Latin-1. */
const CHUNK_CHARS = 524_288;

/** About what an event takes besides its text, as its readers see it. */
const EVENT_CHARS = 128;

/**
 * A job object's rows, in the key-value face of its SQLite: a table of our own would cost two billed rows
 * and two milliseconds a job to create (docs/storage.md). Reading a job that was never created writes nothing.
 */
export class JobStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  load(): Job | null {
    let newest: { seq: number; appended: number; said: number } | undefined;
    for (const [key, commit] of this.#rows({ reverse: true })) {
      newest ??= { seq: seqOf(key), appended: commit.appended, said: commit.said };
      if (commit.job === undefined) continue;
      const { outbox = [], status, spec } = commit.job;
      const course = status === "purged" ? {} : newCourse(spec);
      return { ...course, ...commit.job, outbox, ...newest };
    }
    return null;
  }

  request(): KeptRequest | null {
    for (const [, { request }] of this.#rows({ limit: 1 })) {
      return request === undefined
        ? null
        : (JSON.parse(new TextDecoder().decode(request)) as KeptRequest);
    }
    return null;
  }

  /** `carried`: the outputs of its first steps. They are apart from the log: this job has not said them. */
  create(job: Job, events: LogEvent[], request: KeptRequest, carried: string[] = []): void {
    // As UTF-8: kept as a string, one character beyond Latin-1 would double it, and a row holds 2 MB (platform limit).
    const bytes = new TextEncoder().encode(JSON.stringify(request));
    this.#put(job.seq, { events, appended: 0, said: 0, job, request: bytes });
    for (const [index, output] of carried.entries()) {
      for (let at = 0; at < output.length; at += CHUNK_CHARS) {
        this.#storage.kv.put(carriedKey(index, at), output.slice(at, at + CHUNK_CHARS));
      }
    }
  }

  /** The output that was taken over for the step at `index`. */
  carried(index: number): string {
    const chunks = this.#storage.kv.list<string>({ prefix: carriedKey(index) });
    return Array.from(chunks, ([, chunk]) => chunk).join("");
  }

  /** Writes at most one row; none if nothing changed. */
  commit(previous: Job, job: Job, events: LogEvent[], bodies: Bodies = {}): void {
    const moved = changed(previous, job);
    if (events.length > 0) {
      const { appended, said } = job;
      const told = Object.keys(bodies).length > 0 ? { bodies } : {};
      const grown = { events, appended, said, ...told };
      this.#put(job.seq, moved ? { ...grown, job } : grown);
    } else if (moved) {
      const last = this.#storage.kv.get<Commit>(keyOf(job.seq));
      const { appended, said } = job;
      this.#put(job.seq, { events: [], appended, said, ...last, job });
    }
  }

  /** Events after `after`, whole rows, until they are about `maxChars` long. */
  events(after: number, maxChars: number): Page {
    const events: LogEvent[] = [];
    let chars = 0;
    for (const [, commit] of this.#rows({ startAfter: keyOf(after) })) {
      if (chars >= maxChars) return { events, more: true };
      for (const event of commit.events) {
        if (event.seq <= after) continue;
        events.push(event);
        chars += EVENT_CHARS + (event.type === "delta" ? event.delta.length : 0);
      }
    }
    return { events, more: false };
  }

  /** The text of the attempt whose `started` event is `startedSeq`. `until`: where others may follow, the event that ends it. */
  text(startedSeq: number, until = Infinity): string {
    let text = "";
    for (const [, commit] of this.#rows({ start: keyOf(startedSeq) })) {
      for (const event of commit.events) {
        if (event.seq >= until) return text;
        if (event.type === "delta" && event.seq > startedSeq) text += event.delta;
      }
    }
    return text;
  }

  event(seq: number): LogEvent | null {
    for (const [, { events }] of this.#rows({ start: keyOf(seq), limit: 1 })) {
      return events.find((event) => event.seq === seq) ?? null;
    }
    return null;
  }

  /** What is to be delivered of the event `seq`; null if nothing is. */
  body({ id, seq }: Pick<Delivery, "id" | "seq">): string | null {
    for (const [, { bodies }] of this.#rows({ start: keyOf(seq), limit: 1 })) {
      return bodies?.[id] ?? null;
    }
    return null;
  }

  /** Deletes everything but the fact that the id was used. One synchronous block: all of it or nothing. */
  purge(job: Job): Promise<void> {
    const deleted = this.#storage.deleteAll();
    this.#put(job.seq, { events: [], appended: 0, said: 0, job });
    return deleted;
  }

  forget(): Promise<void> {
    return this.#storage.deleteAll();
  }

  #put(seq: number, commit: Commit): void {
    this.#storage.kv.put(keyOf(seq), commit);
  }

  #rows(range: Omit<SyncKvListOptions, "prefix">): Iterable<[string, Commit]> {
    return this.#storage.kv.list<Commit>({ prefix: PREFIX, ...range });
  }
}

/** Zero-padded, so that keys sort as their numbers do. */
function keyOf(seq: number): string {
  return PREFIX + String(seq).padStart(9, "0");
}

/** Without `at`: how the keys of all its chunks begin. */
function carriedKey(index: number, at?: number): string {
  const place = at === undefined ? "" : String(at).padStart(9, "0");
  return `${CARRIED}${String(index).padStart(2, "0")}:${place}`;
}

function seqOf(key: string): number {
  return Number(key.slice(PREFIX.length));
}

/** Whether more than the log grew: `seq`, `appended` and `said` are read off the newest row. */
function changed(previous: Job, job: Job): boolean {
  const { seq, appended, said } = job;
  const before: Record<string, unknown> = { ...previous, seq, appended, said };
  const keys = new Set([...Object.keys(before), ...Object.keys(job)]);
  const after: Record<string, unknown> = { ...job };
  return [...keys].some((key) => before[key] !== after[key]);
}

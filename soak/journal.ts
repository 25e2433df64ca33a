import type { JobEvent } from "../src/schema/event.ts";
import type { JobStatus, JobView } from "../src/schema/job.ts";

/** What a client asked for, and everything it was told since. The audit believes this and the provider, nobody else. */
export type Entry = {
  /** Its own, but for a job that repeats another one, which has that one's. */
  prompt: string;
  tokens: number;
  maxAttempts: number;
  key: string | null;
  /** Null: never told, which can only be where there was no key to ask again with. */
  id: string | null;
  /** How many of the answers were a 202. */
  accepted: number;
  /** Answers to its submissions that were lost. */
  lost: number;
  /** What the cancellation was answered with. */
  cancelled: JobStatus | null;
  /** When the answer to its deletion was there. */
  deletedAt: number | null;
  /** The job that repeats it. */
  repeatedAs: string | null;
  /** What a reader saw that dropped and resumed. */
  seen: JobEvent[];
};

/** What broke a rule: which job, and what is wrong with it. */
export type Violation = { id: string; what: string };

/** What was found at the end. */
export type Found = { entry: Entry; id: string; view: JobView | null; log: JobEvent[] };

export class Journal {
  readonly entries: Entry[] = [];
  readonly violations: Violation[] = [];
  kills = 0;

  open(entry: Pick<Entry, "prompt" | "tokens" | "maxAttempts" | "key">): Entry {
    const none = { id: null, accepted: 0, lost: 0, cancelled: null, deletedAt: null };
    const opened: Entry = { ...entry, ...none, repeatedAs: null, seen: [] };
    this.entries.push(opened);
    return opened;
  }

  violated(id: string | null, what: string): void {
    this.violations.push({ id: id ?? "a job without an id", what });
  }
}

const TERMINAL: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

export function isOver(status: string): boolean {
  return TERMINAL.has(status);
}

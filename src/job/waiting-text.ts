import type { Command, Part } from "../domain/command.ts";
import type { Job } from "../domain/job.ts";

const bytesOf = (text: string): number => new TextEncoder().encode(text).byteLength;

type Append = Extract<Command, { type: "append" }>;

/**
 * The text that an attempt has shown with its last sign of life, before it appends it. Kept in memory: a row for it
 * would cost more than it is worth, and its consumer still has it.
 */
export class WaitingText {
  #append: Append | null = null;

  show(token: string, part: Part): void {
    this.#append = { type: "append", token, ...part };
  }

  /** The job with this text counted as said, for the estimate of a call whose consumer is gone. */
  counted(job: Job): Job {
    const append = this.of(job);
    return append === null ? job : { ...job, said: job.said + bytesOf(append.text) };
  }

  /** The command that would append it; null if there is none, or none of the attempt that runs. */
  of(job: Job | null): Append | null {
    const append = this.#append;
    if (append === null || job?.status !== "active" || append.part !== job.appended) return null;
    return append.token === job.lease.token ? append : null;
  }
}

import type { Command } from "../../src/domain/command.ts";
import {
  currentAttempt,
  dueAt,
  wakeAt,
  type Job,
  type JobSpec,
  type LogEvent,
} from "../../src/domain/job.ts";
import { accept, transition } from "../../src/domain/transition.ts";
import { attemptsOf, statusOf } from "../../src/domain/view.ts";

/** What `Math.random` is made to say while objects are compared with their model. */
export const JITTER = 0.5;

/** A job object as it ought to be: the pure machine, with a memory that is never lost and a disk that is an array. */
export class Model {
  #job: Job | null = null;
  #events: LogEvent[] = [];

  submit(spec: JobSpec, now: number): "accepted" | "replayed" | "gone" {
    this.#settle(now);
    if (this.#job !== null) return this.#job.status === "purged" ? "gone" : "replayed";
    const created = accept(spec);
    if (!created.ok) throw new Error("a new job was refused");
    this.#job = created.job;
    this.#events = created.events;
    return "accepted";
  }

  /** Whether the command did anything. */
  apply(command: Command, now: number): boolean {
    this.#settle(now);
    return this.#step(command, now);
  }

  /** What a reader is told of it. */
  told(now: number): { type: string; status?: string; log?: unknown[]; attempts?: unknown } {
    this.#settle(now);
    if (this.#job === null) return { type: "unknown" };
    if (this.#job.status === "purged") return { type: "gone" };
    const attempts = { type: "found", value: attemptsOf(this.#job) };
    return { type: "found", status: statusOf(this.#job), log: this.#log(this.#job), attempts };
  }

  /** Whether its dead letter is still to be written. */
  get owesLetter(): boolean {
    const { status } = this.#job ?? {};
    if (status === "failing") return true;
    return this.#job?.status === "failed" && this.#job.letter !== null;
  }

  /** When its alarm has to have rung. Null: there is nothing to wake. */
  wakeAt(now: number): number | null {
    this.#settle(now);
    return this.#job === null ? null : wakeAt(this.#job);
  }

  #settle(now: number): void {
    while (this.#job !== null && now >= (dueAt(this.#job) ?? Infinity)) {
      this.#step({ type: "wake", jitter: JITTER }, now);
    }
  }

  #step(command: Command, now: number): boolean {
    if (this.#job === null) return false;
    const result = transition(this.#job, command, now);
    if (!result.ok) return false;
    this.#job = result.job;
    this.#events.push(...result.events);
    const effects = new Set(result.effects.map(({ type }) => type));
    if (effects.has("forget")) this.#job = null;
    if (effects.has("forget") || effects.has("purge")) this.#events = [];
    return true;
  }

  #log(job: Job): unknown[] {
    return this.#events.map(({ type, ...rest }) => {
      const event = { type, job_id: job.spec.id, ...rest };
      if (!("result" in event)) return event;
      const result = { content: this.#textOf(job), ...event.result };
      return { ...event, result, completed_at: event.at };
    });
  }

  #textOf(job: Job): string {
    const last = currentAttempt(job)?.number;
    const deltas = this.#events.filter((event) => event.type === "delta");
    return deltas
      .filter(({ attempt }) => attempt === last)
      .map(({ delta }) => delta)
      .join("");
  }
}

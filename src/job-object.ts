import { DurableObject } from "cloudflare:workers";

import type { CreateJob, JobView } from "./schema/job.ts";
import type { Failure } from "./domain/failure.ts";
import {
  currentAttempt,
  dueAt,
  hasEnded,
  wakeAt,
  type Answer,
  type Job,
  type JobSpec,
  type LogEvent,
} from "./domain/job.ts";
import type { CallReport, Command, Effect, Part, Transition } from "./domain/command.ts";
import { accept, transition } from "./domain/transition.ts";
import { statusOf, viewOf } from "./domain/view.ts";
import type { Directive, Found, Frame, Grant, LogPage, Settlement, Submitted } from "./job-rpc.ts";
import { logEvent, logFault } from "./log.ts";
import { backlogOf, ring, type Destination } from "./queues.ts";
import { JobStore } from "./storage/job-store.ts";
import { Subscribers, type Format } from "./subscribers.ts";

/** About how much text one page of the log holds. */
const PAGE_CHARS = 262_144;

/** How soon the alarm tries again when waking the job failed. */
const ALARM_RETRY_MS = 5_000;

/**
 * One job: the truth about it, its log, its one alarm and its subscribers.
 *
 * Every method is load, decide (domain/transition), store, then effects; no policy lives here. Between
 * reading and storing nothing is awaited, so commands cannot interleave; the platform holds back answers
 * and frames until the rows behind them are durable.
 */
export class JobObject extends DurableObject<Env> {
  readonly #store = new JobStore(this.ctx.storage);
  readonly #subscribers = new Subscribers(this.ctx);
  #job: Job | null | undefined;
  #armedFor: number | undefined;

  /** Claims the id for this submission, or says who has it. Safe to repeat. */
  submit(spec: JobSpec, request: CreateJob): Submitted {
    const job = this.#settled();
    if (job === null) {
      const created = accept(spec);
      if (!created.ok) throw new Error("a new job was refused");
      this.#store.create(created.job, created.events, request);
      this.#adopt(created.job, created.events, created.effects);
      return { type: "accepted", view: this.#view(created.job) };
    }
    if (job.status === "purged") return { type: "gone" };
    const same =
      job.spec.fingerprint === spec.fingerprint && job.spec.idempotencyKey === spec.idempotencyKey;
    return same ? { type: "replayed", view: this.#view(job) } : { type: "reused" };
  }

  /** Grants the next attempt to the consumer with this token, if one is due and nobody else has it. Safe to repeat. */
  lease(token: string): Grant {
    const job = this.#settled();
    if (job?.status === "active" && job.lease.token === token) return this.#leased(job);
    const result = this.#apply({ type: "lease", token });
    if (result.ok) return this.#leased(result.job);
    if (!result.ok && result.reason === "not_due" && job?.status === "queued") {
      return { type: "wait", delaySeconds: secondsUntil(job.readyAt) };
    }
    return { type: "ignore" };
  }

  /** Adds text to the running attempt; without text it only asks. A part sent twice is stored once. */
  append(token: string, part: Part): Directive {
    const result = this.#apply({ type: "append", token, ...part });
    return { go: result.ok, watched: this.#subscribers.any() };
  }

  /** The attempt's answer, with the text that was not appended yet. */
  complete(token: string, rest: Part, answer: Answer, report: CallReport): Settlement {
    this.#apply({ type: "complete", token, ...rest, answer, report });
    return { type: "ack" };
  }

  /** The attempt's failure. The answer says when its message should come again, if it should. */
  fail(token: string, failure: Failure, report: CallReport): Settlement {
    const command = { type: "fail", token, failure, report, jitter: Math.random() } as const;
    this.#apply(command);
    // Asked of the job, not of the result: a report that comes twice is answered twice the same.
    if (this.#job?.status !== "queued") return { type: "ack" };
    return { type: "retry", delaySeconds: secondsUntil(this.#job.readyAt) };
  }

  /** The dead-letter consumer's word: the job ends here, if it has not yet. */
  deadLetter(): void {
    this.#apply({ type: "dead_letter" });
  }

  /** Ends the job unless it has ended. The running attempt hears of it at its next report. */
  cancel(reason: string): Found<JobView> {
    this.#apply({ type: "cancel", reason });
    return this.read(true);
  }

  read(withPartialOutput: boolean): Found<JobView> {
    return this.#found((job) => {
      const view = this.#view(job);
      const attempt = currentAttempt(job);
      const text = () => (attempt === undefined ? "" : this.#store.text(attempt.startedSeq));
      if (job.status === "completed") {
        return { ...view, result: { content: text(), ...job.answer } };
      }
      return withPartialOutput && saysPart(job) ? { ...view, partial_output: text() } : view;
    });
  }

  /** A run of the log after `after`. */
  log(after: number): Found<LogPage> {
    return this.#found((job) => {
      const { events, more } = this.#store.events(after, PAGE_CHARS);
      return {
        jobId: job.spec.id,
        status: statusOf(job),
        lastSeq: job.seq,
        ended: hasEnded(job),
        events: this.#frames(job, events),
        more,
      };
    });
  }

  /** Only WebSocket upgrades: `?after=` and `?format=`. Everything after the cursor is sent, then what comes. */
  override fetch(request: Request): Response {
    const job = this.#settled();
    if (job === null) return new Response(null, { status: 404 });
    if (job.status === "purged") return new Response(null, { status: 410 });
    const { searchParams } = new URL(request.url);
    const format: Format = searchParams.get("format") === "sse" ? "sse" : "ws";
    const { events } = this.#store.events(Number(searchParams.get("after") ?? 0), Infinity);
    return this.#subscribers.add(format, this.#frames(job, events), hasEnded(job));
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#subscribers.heard(socket, message);
  }

  override webSocketClose(socket: WebSocket): void {
    this.#subscribers.left(socket);
  }

  override async alarm(): Promise<void> {
    this.#armedFor = undefined;
    try {
      this.#apply({ type: "wake", jitter: Math.random() });
    } catch (error) {
      // The platform gives an alarm that throws up after six tries; this one must never be given up.
      logFault("alarm.failed", this.ctx.id.name, error);
      await this.ctx.storage.setAlarm(Date.now() + ALARM_RETRY_MS);
    }
  }

  /** The job as it stands now: what time alone has decided is applied first. Null: never submitted. */
  #settled(): Job | null {
    this.#job = this.#job === undefined ? this.#store.load() : this.#job;
    while (this.#job !== null && Date.now() >= (dueAt(this.#job) ?? Infinity)) {
      this.#commit(
        this.#job,
        transition(this.#job, { type: "wake", jitter: Math.random() }, Date.now()),
      );
    }
    return this.#job;
  }

  #apply(command: Command): Transition {
    const job = this.#settled();
    if (job === null) return { ok: false, reason: "illegal" };
    const result = transition(job, command, Date.now());
    this.#commit(job, result);
    return result;
  }

  #commit(previous: Job, result: Transition): void {
    if (!result.ok) return;
    this.#store.commit(previous, result.job, result.events);
    this.#adopt(result.job, result.events, result.effects);
  }

  /** The job is stored: arm the alarm for it, show its events, do what is to be done. */
  #adopt(job: Job, events: LogEvent[], effects: Effect[]): void {
    this.#job = job;
    this.#arm(wakeAt(job));
    if (this.#subscribers.any()) this.#subscribers.send(this.#frames(job, events));
    if (hasEnded(job)) this.#subscribers.closeAll();
    for (const event of events) logEvent(job, event);
    for (const effect of effects) this.#perform(effect, job);
  }

  #perform(effect: Effect, job: Job): void {
    switch (effect.type) {
      case "ring":
        return this.#send(job.spec.lane);
      case "dead_letter":
        return this.#send("dead_letter");
      case "purge":
        this.#armedFor = undefined;
        this.ctx.waitUntil(this.#store.purge(job));
        return this.#arm(wakeAt(job));
      case "forget":
        this.#job = null;
        this.#armedFor = undefined;
        this.ctx.waitUntil(this.#store.forget());
        return;
    }
  }

  /** Not awaited: the job is accepted already, and a message that is lost is sent again by the alarm. */
  #send(to: Destination): void {
    this.ctx.waitUntil(ring(this.env, to, { job: this.ctx.id.name ?? "" }));
  }

  /**
   * Makes sure the alarm fires at `at` or before. An earlier alarm is left as it is: it finds nothing to
   * do and arms again, which is cheaper than a billed row at every transition.
   */
  #arm(at: number): void {
    if (at === Infinity || (this.#armedFor !== undefined && this.#armedFor <= at)) return;
    this.#armedFor = at;
    // Deliberately not awaited: it belongs to the same atomic write as the job's row.
    void this.ctx.storage.setAlarm(at);
  }

  #leased(job: Job): Grant {
    const route = job.spec.routes[job.route];
    const request = this.#store.request();
    if (route === undefined || request === null) return { type: "ignore" };
    const { timeoutMs } = job.spec;
    return { type: "leased", route, request, timeoutMs, watched: this.#subscribers.any() };
  }

  #view(job: Job): JobView {
    return viewOf(job, Date.now(), backlogOf(job.spec.lane));
  }

  #found<T>(value: (job: Job) => T): Found<T> {
    const job = this.#settled();
    if (job === null) return { type: "unknown" };
    if (job.status === "purged") return { type: "gone" };
    return { type: "found", value: value(job) };
  }

  #frames(job: Job, events: LogEvent[]): Frame[] {
    return events.map((event) => ({ seq: event.seq, json: this.#wire(job, event) }));
  }

  /** An event as readers see it: with the job's id and, at the end, the whole text. */
  #wire(job: Job, event: LogEvent): string {
    const { type, ...rest } = event;
    const wired = { type, job_id: job.spec.id, ...rest };
    if (event.type !== "completed") return JSON.stringify(wired);
    const attempt = currentAttempt(job);
    const content = attempt === undefined ? "" : this.#store.text(attempt.startedSeq);
    const result = { content, ...event.result };
    return JSON.stringify({ ...wired, result, completed_at: event.at });
  }
}

/** Whether there is text that has not become a result: of an attempt that runs, or that was cancelled. */
function saysPart(job: Job): boolean {
  if (job.status === "cancelled") return currentAttempt(job)?.outcome === "cancelled";
  return job.status === "active" || job.status === "failing";
}

function secondsUntil(instant: number): number {
  return Math.max(0, Math.ceil((instant - Date.now()) / 1_000));
}

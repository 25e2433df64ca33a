import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "./alarm-clock.ts";
import { Announcer, TELL_AGAIN_MS } from "./announcer.ts";
import type { AttemptView, CreateJob, JobView } from "./schema/job.ts";
import { givenUp, type GivenUp } from "./domain/dead-letter.ts";
import { secondsUntil } from "./domain/estimate.ts";
import type { Failure } from "./domain/failure.ts";
import {
  dueAt,
  hasEnded,
  isSameSubmission,
  wakeAt,
  type Answer,
  type Job,
  type JobSpec,
  type LogEvent,
} from "./domain/job.ts";
import type { CallReport, Command, Effect, Part, Transition } from "./domain/command.ts";
import { accept, transition } from "./domain/transition.ts";
import { attemptsOf, viewOf } from "./domain/view.ts";
import { framesOf, pageOf, sourceOf, textShown } from "./job-reading.ts";
import { grantOf } from "./grant.ts";
import type { Directive, Found, Grant, LogPage, Settlement, Source, Submitted } from "./job-rpc.ts";
import { logEvent, logFault } from "./log.ts";
import { backlogOf, ringLater } from "./queues.ts";
import { JobStore } from "./storage/job-store.ts";
import { Subscribers } from "./subscribers.ts";
import { WaitingText } from "./waiting-text.ts";

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
  readonly #waiting = new WaitingText();
  readonly #alarm = new AlarmClock(this.ctx.storage);
  readonly #announcer = new Announcer(this.env, this.ctx.id.name ?? "", this.#alarm);
  #job: Job | null | undefined;
  /** Forgotten but for the ledgers, which must hear of it first. */
  #leaving: Job | null = null;

  /** Claims the id for this submission, or says who has it. Safe to repeat. */
  submit(spec: JobSpec, request: CreateJob): Submitted {
    const job = this.#settled();
    if (job === null) {
      if (this.#leaving !== null) void this.#forget();
      const created = accept(spec);
      if (!created.ok) throw new Error("a new job was refused");
      this.#store.create(created.job, created.events, request);
      this.#adopt(created.job, created.events, created.effects);
      return { type: "accepted", view: this.#view(created.job) };
    }
    if (job.status === "purged") return { type: "gone" };
    const isSame = isSameSubmission(job.spec, spec);
    return isSame ? { type: "replayed", view: this.#view(job) } : { type: "reused" };
  }

  /** Grants the next attempt to the consumer with this token, if one is due and nobody else has it. Safe to repeat. */
  lease(token: string): Grant {
    const job = this.#settled();
    if (job?.status === "active" && job.lease.token === token) return this.#leased(job);
    const result = this.#apply({ type: "lease", token });
    if (result.ok) return this.#leased(result.job);
    if (!result.ok && result.reason === "not_due" && job?.status === "queued") {
      return { type: "wait", delaySeconds: secondsUntil(job.readyAt, Date.now()) };
    }
    return { type: "ignore" };
  }

  /** Adds text to the running attempt. A part sent twice is stored once. */
  append(token: string, part: Part): Directive {
    return this.#directive(this.#apply({ type: "append", token, ...part }));
  }

  /** A sign of life, and the text that waits to be appended. */
  pulse(token: string, waiting: Part): Directive {
    this.#waiting.show(token, waiting);
    return this.#directive(this.#apply({ type: "append", token, ...waiting, text: "" }));
  }

  /** The attempt's answer, with the text that was not appended yet. */
  complete(token: string, rest: Part, answer: Answer, report: CallReport): Settlement {
    const result = this.#apply({ type: "complete", token, ...rest, answer, report });
    // Too late to be the answer, but the call was made and is to be paid for.
    if (!result.ok) this.account(token, report);
    return { type: "ack" };
  }

  /** The attempt's failure. The answer says when its message should come again, if it should. */
  fail(token: string, failure: Failure, report: CallReport): Settlement {
    const command = { type: "fail", token, failure, report, jitter: Math.random() } as const;
    if (!this.#apply(command).ok) this.account(token, report);
    // Asked of the job, not of the result: a report that comes twice is answered twice the same.
    if (this.#job?.status !== "queued") return { type: "ack" };
    return { type: "retry", delaySeconds: secondsUntil(this.#job.readyAt, Date.now()) };
  }

  /** What the call of an attempt that was stopped came to. */
  account(token: string, report: CallReport): void {
    this.#apply({ type: "account", token, report });
  }

  /** The queue gave the job's message up, or the job gave up itself. */
  giveUp(): GivenUp {
    this.#apply({ type: "give_up" });
    return givenUp(this.#job ?? null, () => this.#store.request(), Date.now());
  }

  /** The dead letter is written: the job may fail, if it has not yet. False: it ended otherwise, and the letter must go. */
  deadLettered(): boolean {
    return this.#apply({ type: "dead_letter" }).ok;
  }

  /** Ends the job unless it has ended. The running attempt hears of it at its next report. */
  cancel(reason: string): Found<JobView> {
    this.#cancel(reason);
    return this.read(true);
  }

  /** Ends the job unless it has ended, and deletes what it held, both in one write. */
  delete(): Found<null> {
    return this.#found(() => {
      this.#cancel("Deleted by the client");
      this.#apply({ type: "delete" });
      return null;
    });
  }

  /** What the job is submitted again from. */
  source(): Found<Source> {
    return this.#found((job) => sourceOf(job, this.#store));
  }

  attempts(): Found<AttemptView[]> {
    return this.#found(attemptsOf);
  }

  glance(): Found<JobView> {
    return this.#found((job) => this.#view(job));
  }

  read(withPartialOutput: boolean): Found<JobView> {
    return this.#found((job) => ({
      ...this.#view(job),
      ...textShown(job, this.#store, withPartialOutput, this.#waiting.of(job)?.text),
    }));
  }

  /** A run of the log after `after`. */
  log(after: number): Found<LogPage> {
    return this.#found((job) => pageOf(job, this.#store, after));
  }

  /** Only WebSocket upgrades: `?after=` and `?format=`. Everything after the cursor is sent, then what comes. */
  override fetch(request: Request): Response {
    const job = this.#settled();
    if (job === null) return new Response(null, { status: 404 });
    if (job.status === "purged") return new Response(null, { status: 410 });
    const framesAfter = (after: number) =>
      framesOf(job, this.#store.events(after, Infinity).events, this.#store);
    return this.#subscribers.add(request, framesAfter, hasEnded(job));
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#subscribers.heard(socket, message);
  }

  override webSocketClose(socket: WebSocket): void {
    this.#subscribers.left(socket);
  }

  override async alarm(): Promise<void> {
    this.#alarm.stopped();
    try {
      if (this.#leaving !== null) return await this.#leave(this.#leaving);
      this.#apply({ type: "wake", jitter: Math.random() });
    } catch (error) {
      // The platform gives an alarm that throws up after six tries; this one must never be given up.
      logFault("alarm.failed", { object: this.ctx.id.name }, error);
      this.#alarm.tryAgain(Date.now());
    }
  }

  /** The job as it stands now: what time alone has decided is applied first. Null: never submitted. */
  #settled(): Job | null {
    this.#job = this.#job === undefined ? this.#store.load() : this.#job;
    while (this.#job !== null && Date.now() >= (dueAt(this.#job) ?? Infinity)) {
      const job = this.#waiting.counted(this.#job);
      const wake = { type: "wake", jitter: Math.random() } as const;
      this.#commit(this.#job, transition(job, wake, Date.now()));
    }
    return this.#job;
  }

  /** With the text that was shown and not appended, for nothing can be appended after. */
  #cancel(reason: string): void {
    const waiting = this.#waiting.of(this.#settled());
    if (waiting !== null) this.#apply(waiting);
    this.#apply({ type: "cancel", reason });
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
    this.#alarm.set(wakeAt(job));
    if (this.#subscribers.any()) this.#subscribers.send(framesOf(job, events, this.#store));
    if (hasEnded(job)) this.#subscribers.closeAll();
    for (const event of events) {
      logEvent(job, event);
      this.#announcer.count(job, event);
    }
    for (const effect of effects) this.#perform(effect, job);
    // Outside the answer's way: nobody waits for the ledgers.
    if (this.#leaving === null)
      this.ctx.waitUntil(this.#announcer.announce(job, events.length > 0));
  }

  #perform(effect: Effect, job: Job): void {
    switch (effect.type) {
      case "ring":
        return ringLater(this.ctx, this.env, job.spec.lane);
      case "dead_letter":
        return ringLater(this.ctx, this.env, "dead_letter");
      case "purge":
        this.ctx.waitUntil(this.#purge(job, wakeAt(job)));
        return;
      case "forget":
        this.#job = null;
        this.#leaving = job;
        this.ctx.waitUntil(this.#leave(job));
        return;
    }
  }

  /** Nothing is left of a job once the ledgers know; until then, its name. */
  async #leave(job: Job): Promise<void> {
    await this.#announcer.tell(job, Date.now());
    // Its id may have been submitted anew meanwhile.
    if (this.#leaving !== job) return;
    if (this.#announcer.hasTold(job)) return this.#forget();
    return this.#purge(job, Date.now() + TELL_AGAIN_MS);
  }

  #forget(): Promise<void> {
    this.#leaving = null;
    this.#alarm.stopped();
    return this.#store.forget();
  }

  /** All is deleted but the name, the alarm with it. */
  #purge(job: Job, wakeAt: number): Promise<void> {
    const purged = this.#store.purge(job);
    this.#alarm.stopped();
    this.#alarm.set(wakeAt);
    return purged;
  }

  #leased(job: Job): Grant {
    return grantOf(job, this.#store.request(), this.#subscribers.any());
  }

  #directive({ ok }: Transition): Directive {
    return { go: ok, watched: this.#subscribers.any() };
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
}

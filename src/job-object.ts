import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "./alarm-clock.ts";
import { Announcer } from "./job/announcer.ts";
import { DeliveryClaim } from "./job/delivery-claim.ts";
import type { DeliveryOutcome } from "./domain/delivery.ts";
import { chargeStanding, type ChargeStanding } from "./domain/bill.ts";
import { deliveryView, nextDelivery } from "./domain/outbox.ts";
import { Departure } from "./job/departure.ts";
import type { DeliveryView } from "./schema/delivery.ts";
import type { AttemptView, JobView, KeptRequest } from "./schema/job.ts";
import { givenUp, type GivenUp } from "./domain/dead-letter.ts";
import { secondsUntil } from "./domain/estimate.ts";
import type { Failure } from "./domain/failure.ts";
import { dueAt, hasEnded, isForeign, wakeAt } from "./domain/job.ts";
import type { Answer, Job, JobSpec, LogEvent, Submission } from "./domain/job.ts";
import type { CallReport, Command, Effect, Part, Transition } from "./domain/command.ts";
import { accept, transition } from "./domain/transition.ts";
import { attemptsOf, viewOf } from "./domain/view.ts";
import {
  bodiesOf,
  framesOf,
  pageOf,
  sourceOf,
  submittedBefore,
  textShown,
} from "./job/job-reading.ts";
import { elsewhere, grantOf } from "./job/grant.ts";
import type {
  Directive,
  Found,
  Grant,
  LogPage,
  NextDelivery,
  Settlement,
  Source,
  Submitted,
} from "./job/job-rpc.ts";
import { logEvent, logFault } from "./log.ts";
import { perform } from "./job/perform.ts";
import { backlogOf } from "./queues.ts";
import { JobStore } from "./storage/job-store.ts";
import { Subscribers } from "./job/subscribers.ts";
import { WaitingText } from "./job/waiting-text.ts";

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
  readonly #departure = new Departure(this.#store, this.#announcer, this.#alarm);
  readonly #claim = new DeliveryClaim();
  #job: Job | null | undefined;

  /** Claims the id for this submission, or says who has it. Safe to repeat. */
  submit(spec: JobSpec, request: KeptRequest): Submitted {
    const before = this.recall(spec);
    if (before !== null) return before;
    if (this.#departure.leaving !== null) void this.#departure.forget();
    const created = accept(spec);
    if (!created.ok) throw new Error("a new job was refused");
    this.#store.create(created.job, created.events, request);
    this.#adopt(created.job, created.events, created.effects);
    return { type: "accepted", view: this.#view(created.job) };
  }

  recall(submission: Submission): Submitted | null {
    const job = this.#settled();
    return job === null ? null : submittedBefore(job, submission, this.#view(job));
  }

  /** Grants the next attempt to the consumer with this token, if one is due and nobody else has it. Safe to repeat. */
  lease(token: string, provider?: string | null): Grant {
    const job = this.#settled();
    if (job?.status === "active" && job.lease.token === token) return this.#leased(job);
    const other = elsewhere(job, provider, Date.now());
    if (other !== null) return other;
    const result = this.#apply({ type: "lease", token });
    if (result.ok) return this.#leased(result.job);
    if (result.reason !== "not_due" || job?.status !== "queued") return { type: "ignore" };
    return { type: "wait", delaySeconds: secondsUntil(job.readyAt, Date.now()) };
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
  cancel(reason: string, tenant?: string): Found<JobView> {
    const found = this.#found(() => this.#cancel(reason), tenant);
    return found.type === "found" ? this.read(true) : found;
  }

  /** Ends the job unless it has ended, and deletes what it held, both in one write. */
  delete(tenant?: string): Found<null> {
    return this.#found(() => {
      this.#cancel("Deleted by the client");
      this.#apply({ type: "delete" });
      return null;
    }, tenant);
  }

  /** What the job is submitted again from. */
  source(tenant?: string): Found<Source> {
    return this.#found((job) => sourceOf(job, this.#store), tenant);
  }

  /** Gives the delivery that is to be attempted now to the consumer with this token, for `forMs`. Safe to repeat. */
  nextDelivery(token: string, forMs: number): NextDelivery {
    return this.#claim.next(this.#settled(), { token, forMs }, this.#store, Date.now());
  }

  /** How an attempt at a delivery went. Safe to repeat. True: the next delivery is due. */
  settleDelivery(token: string, deliveryId: string, outcome: DeliveryOutcome): boolean {
    this.#claim.release(token);
    this.#apply({ type: "settle", deliveryId, token, outcome, jitter: Math.random() });
    return nextDelivery(this.#settled()?.outbox ?? [], Date.now()) !== null;
  }

  /** Owes the delivery once more. Null: there is none of this id. */
  replayDelivery(deliveryId: string, tenant?: string): Found<DeliveryView | null> {
    return this.#found(() => {
      this.#apply({ type: "replay", deliveryId });
      const delivery = this.#job?.outbox.find(({ id }) => id === deliveryId);
      return delivery === undefined ? null : deliveryView(delivery);
    }, tenant);
  }

  deliveries(tenant?: string): Found<DeliveryView[]> {
    return this.#found(({ outbox }) => outbox.map(deliveryView), tenant);
  }

  attempts(tenant?: string): Found<AttemptView[]> {
    return this.#found(attemptsOf, tenant);
  }

  bill(uid: string): ChargeStanding {
    return chargeStanding(this.#settled(), uid);
  }

  glance(tenant?: string): Found<JobView> {
    return this.#found((job) => this.#view(job), tenant);
  }

  read(withPartialOutput: boolean, tenant?: string): Found<JobView> {
    const shown = (job: Job) => ({
      ...this.#view(job),
      ...textShown(job, this.#store, withPartialOutput, this.#waiting.of(job)?.text),
    });
    return this.#found(shown, tenant);
  }

  /** A run of the log after `after`. */
  log(after: number, textApart = false, tenant?: string): Found<LogPage> {
    return this.#found((job) => pageOf(job, this.#store, after, textApart), tenant);
  }

  /** Only WebSocket upgrades: `?after=` and `?format=`. What is after the cursor is sent, then what comes. */
  override fetch(request: Request): Response {
    const job = this.#settled();
    if (job === null || isForeign(job, request.headers.get("tenant")))
      return new Response(null, { status: 404 });
    if (job.status === "purged") return new Response(null, { status: 410 });
    return this.#subscribers.add(request, (after) => pageOf(job, this.#store, after, true));
  }

  override webSocketClose(socket: WebSocket): void {
    this.#subscribers.left(socket);
  }

  override async alarm(): Promise<void> {
    this.#alarm.stopped();
    try {
      const { leaving } = this.#departure;
      if (leaving !== null) return await this.#departure.leave(leaving);
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
    const bodies = bodiesOf(previous, result, this.#store, Date.now());
    this.#store.commit(previous, result.job, result.events, bodies);
    this.#adopt(result.job, result.events, result.effects);
  }

  /** The job is stored: arm the alarm for it, show its events, do what is to be done. */
  #adopt(job: Job, events: LogEvent[], effects: Effect[]): void {
    this.#job = job;
    this.#alarm.set(wakeAt(job));
    if (this.#subscribers.any()) this.#subscribers.send(framesOf(job, events, this.#store, true));
    if (hasEnded(job)) this.#subscribers.closeAll();
    for (const event of events) {
      logEvent(job, event);
      this.#announcer.count(job, event);
    }
    if (effects.some(({ type }) => type === "forget")) this.#job = null;
    for (const effect of effects) perform(effect, job, this.ctx, this.env, this.#departure);
    // Outside the answer's way: nobody waits for the ledgers.
    if (this.#departure.leaving === null)
      this.ctx.waitUntil(this.#announcer.announce(job, events.length > 0));
  }

  #leased(job: Job): Grant {
    return grantOf(job, this.#store.request(), this.#subscribers.watching());
  }

  #directive({ ok }: Transition): Directive {
    return { go: ok, watched: this.#subscribers.watching() };
  }

  #view(job: Job): JobView {
    return viewOf(job, Date.now(), backlogOf(job.spec.lane));
  }

  #found<T>(value: (job: Job) => T, tenant?: string): Found<T> {
    const job = this.#settled();
    if (job === null || isForeign(job, tenant)) return { type: "unknown" };
    if (job.status === "purged") return { type: "gone" };
    return { type: "found", value: value(job) };
  }
}

import { DurableObject } from "cloudflare:workers";

import { inputBefore } from "./domain/advance.ts";
import { chargeStanding, type ChargeStanding } from "./domain/bill.ts";
import type { CallReport, Part, Transition } from "./domain/command.ts";
import { givenUp, type GivenUp } from "./domain/dead-letter.ts";
import type { DeliveryOutcome } from "./domain/delivery.ts";
import { secondsUntil } from "./domain/estimate.ts";
import type { Failure } from "./domain/failure.ts";
import { dlqIdOf, isForeign } from "./domain/job.ts";
import type { Answer, Job, JobSpec, Submission } from "./domain/job.ts";
import { deliveryView, nextDelivery } from "./domain/outbox.ts";
import { attemptsOf } from "./domain/view.ts";
import { DeliveryClaim } from "./job/delivery-claim.ts";
import { afterStep, elsewhere, grantOf, waitsOf } from "./job/grant.ts";
import { JobKeeper } from "./job/job-keeper.ts";
import { pageOf, sourceOf, submittedBefore, textShown } from "./job/job-reading.ts";
import type {
  Answered,
  Directive,
  Found,
  Grant,
  Input,
  LogPage,
  NextDelivery,
  Seen,
  Settlement,
  Shown,
  Source,
  Submitted,
} from "./job/job-rpc.ts";
import { carriedFrom, stepViews } from "./job/step-reading.ts";
import { logFault } from "./log.ts";
import type { DeliveryView } from "./schema/delivery.ts";
import type { AttemptView, JobView, KeptRequest } from "./schema/job.ts";
import type { StepView } from "./schema/job-steps.ts";

/** One job: the truth about it, its log, its one alarm and its subscribers. What is asked of it, and what it answers. */
export class JobObject extends DurableObject<Env> {
  readonly #keeper = new JobKeeper(this.ctx, this.env);
  readonly #claim = new DeliveryClaim();

  /** Claims the id for this submission, or says who has it. Safe to repeat. */
  submit(spec: JobSpec, request: KeptRequest, carried: string[] = []): Submitted {
    const before = this.recall(spec);
    if (before !== null) return before;
    const { departure } = this.#keeper;
    if (departure.leaving !== null) void departure.forget();
    return { type: "accepted", ...this.#shown(this.#keeper.create(spec, request, carried)) };
  }

  recall(submission: Submission): Submitted | null {
    const job = this.#keeper.settled();
    return job === null ? null : submittedBefore(job, submission, this.#shown(job));
  }

  /** Grants the next attempt to the consumer with this token, if one is due and nobody else has it. Safe to repeat. */
  lease(token: string, provider?: string | null, takesSteps = false): Grant {
    const job = this.#keeper.settled();
    if (job?.status === "active" && job.lease.token === token) return this.#leased(job);
    const other = elsewhere(job, provider, takesSteps, Date.now());
    if (other !== null) return other;
    const result = this.#keeper.apply({ type: "lease", token });
    if (result.ok) return this.#leased(result.job);
    if (result.reason !== "not_due" || job?.status !== "queued") return { type: "ignore" };
    return { type: "wait", delaySeconds: secondsUntil(job.readyAt, Date.now()) };
  }

  /** Adds text to the running attempt. A part sent twice is stored once. */
  append(token: string, part: Part): Directive {
    return this.#directive(this.#keeper.apply({ type: "append", token, ...part }));
  }

  /** A sign of life, and the text that waits to be appended. */
  pulse(token: string, waiting: Part): Directive {
    this.#keeper.waiting.show(token, waiting);
    return this.#directive(this.#keeper.apply({ type: "append", token, ...waiting, text: "" }));
  }

  /** The attempt's answer, with the text that was not appended yet. */
  complete(token: string, rest: Part, answer: Answer, report: CallReport): Settlement {
    const result = this.#keeper.apply({ type: "complete", token, ...rest, answer, report });
    // Too late to be the answer, but the call was made and is to be paid for.
    if (!result.ok) this.account(token, report);
    return afterStep(this.#keeper.job, token);
  }

  /** The attempt's failure. The answer says when its message should come again, if it should. */
  fail(token: string, failure: Failure, report: CallReport): Settlement {
    const command = { type: "fail", token, failure, report, jitter: Math.random() } as const;
    if (!this.#keeper.apply(command).ok) this.account(token, report);
    // Asked of the job, not of the result: a report that comes twice is answered twice the same.
    const { job } = this.#keeper;
    if (job?.status !== "queued") return { type: "ack" };
    return { type: "retry", delaySeconds: secondsUntil(job.readyAt, Date.now()) };
  }

  /** What the call of an attempt that was stopped came to. */
  account(token: string, report: CallReport): void {
    this.#keeper.apply({ type: "account", token, report });
  }

  /** The queue gave the job's message up, or the job gave up itself. */
  giveUp(): GivenUp {
    this.#keeper.apply({ type: "give_up" });
    return givenUp(this.#keeper.job, () => this.#keeper.store.request(), Date.now());
  }

  /** The dead letter is written: the job may fail, if it has not yet. False: it ended otherwise, and the letter must go. */
  deadLettered(): boolean {
    return this.#keeper.apply({ type: "dead_letter" }).ok;
  }

  /** Ends the job unless it has ended. The running attempt hears of it at its next report. */
  cancel(reason: string, tenant?: string): Found<JobView> {
    const found = this.#keeper.found(() => this.#keeper.cancel(reason), tenant);
    return found.type === "found" ? this.read(true) : found;
  }

  /** Ends the job unless it has ended, and deletes what it held, both in one write. */
  delete(tenant?: string): Found<null> {
    return this.#keeper.found(() => {
      this.#keeper.cancel("Deleted by the client");
      this.#keeper.apply({ type: "delete" });
      return null;
    }, tenant);
  }

  /** Somebody's answer to what the job asks. Safe to repeat. */
  input(input: Input, tenant?: string): Found<Answered> {
    const found = this.#keeper.found((job) => {
      if (this.#keeper.apply({ type: "input", ...input }).ok) return "same";
      return inputBefore(job, input.requestId, input.digest);
    }, tenant);
    if (found.type !== "found") return found;
    const read = this.read(false);
    if (read.type !== "found") return read;
    const type = found.value === "same" ? "taken" : found.value;
    return { type: "found", value: { type, view: read.value } };
  }

  /** What the job is submitted again from. */
  source(tenant?: string): Found<Source> {
    return this.#keeper.found((job) => sourceOf(job, this.#keeper.store), tenant);
  }

  /** The outputs of its finished steps, for a job that repeats it; none if another job has its id by now. */
  finished(dlqId: string): string[] {
    const job = this.#keeper.settled();
    const isIt = job !== null && dlqIdOf(job.spec) === dlqId;
    return isIt ? carriedFrom(job, this.#keeper.store) : [];
  }

  /** Gives the delivery that is to be attempted now to the consumer with this token, for `forMs`. Safe to repeat. */
  nextDelivery(token: string, forMs: number): NextDelivery {
    const { store } = this.#keeper;
    return this.#claim.next(this.#keeper.settled(), { token, forMs }, store, Date.now());
  }

  /** How an attempt at a delivery went. Safe to repeat. True: the next delivery is due. */
  settleDelivery(token: string, deliveryId: string, outcome: DeliveryOutcome): boolean {
    this.#claim.release(token);
    this.#keeper.apply({ type: "settle", deliveryId, token, outcome, jitter: Math.random() });
    return nextDelivery(this.#keeper.settled()?.outbox ?? [], Date.now()) !== null;
  }

  /** Owes the delivery once more. Null: there is none of this id. */
  replayDelivery(deliveryId: string, tenant?: string): Found<DeliveryView | null> {
    return this.#keeper.found(() => {
      this.#keeper.apply({ type: "replay", deliveryId });
      const delivery = this.#keeper.job?.outbox.find(({ id }) => id === deliveryId);
      return delivery === undefined ? null : deliveryView(delivery);
    }, tenant);
  }

  deliveries(tenant?: string): Found<DeliveryView[]> {
    return this.#keeper.found(({ outbox }) => outbox.map(deliveryView), tenant);
  }

  attempts(tenant?: string): Found<AttemptView[]> {
    return this.#keeper.found(attemptsOf, tenant);
  }

  steps(tenant?: string): Found<StepView[]> {
    return this.#keeper.found((job) => stepViews(job, this.#keeper.store), tenant);
  }

  bill(uid: string): ChargeStanding {
    return chargeStanding(this.#keeper.settled(), uid);
  }

  glance(tenant?: string): Seen {
    return this.#seen((job) => this.#keeper.view(job), tenant);
  }

  read(withPartialOutput: boolean, tenant?: string): Seen {
    const { store, waiting } = this.#keeper;
    const shown = (job: Job) => ({
      ...this.#keeper.view(job),
      ...textShown(job, store, withPartialOutput, waiting.of(job)?.text),
    });
    return this.#seen(shown, tenant);
  }

  /** A run of the log after `after`. */
  log(after: number, textApart = false, tenant?: string): Found<LogPage> {
    return this.#keeper.found((job) => pageOf(job, this.#keeper.store, after, textApart), tenant);
  }

  /** Only WebSocket upgrades: `?after=` and `?format=`. What is after the cursor is sent, then what comes. */
  override fetch(request: Request): Response {
    const { store, subscribers } = this.#keeper;
    const job = this.#keeper.settled();
    if (job === null || isForeign(job, request.headers.get("tenant")))
      return new Response(null, { status: 404 });
    if (job.status === "purged") return new Response(null, { status: 410 });
    return subscribers.add(request, (after) => pageOf(job, store, after, true));
  }

  override webSocketClose(socket: WebSocket): void {
    this.#keeper.subscribers.left(socket);
  }

  override async alarm(): Promise<void> {
    const { alarm, departure } = this.#keeper;
    alarm.stopped();
    try {
      if (departure.leaving !== null) return await departure.leave(departure.leaving);
      this.#keeper.apply({ type: "wake", jitter: Math.random() });
    } catch (error) {
      // The platform gives an alarm that throws up after six tries; this one must never be given up.
      logFault("alarm.failed", { object: this.ctx.id.name }, error);
      alarm.tryAgain(Date.now());
    }
  }

  #leased(job: Job): Grant {
    const { store, subscribers } = this.#keeper;
    return grantOf(job, store, subscribers.watching());
  }

  #directive({ ok }: Transition): Directive {
    return { go: ok, watched: this.#keeper.subscribers.watching() };
  }

  #seen(view: (job: Job) => JobView, tenant?: string): Seen {
    const found = this.#keeper.found((job) => ({ view: view(job), ...waitsOf(job) }), tenant);
    if (found.type !== "found") return found;
    const { view: value, ...waits } = found.value;
    return { type: "found", value, ...waits };
  }

  #shown(job: Job): Shown {
    return { view: this.#keeper.view(job), ...waitsOf(job) };
  }
}

import { AlarmClock } from "../alarm-clock.ts";
import { isToAsk } from "../domain/advance.ts";
import type { Command, Effect, Transition } from "../domain/command.ts";
import { dueAt, hasEnded, isForeign, wakeAt } from "../domain/job.ts";
import type { Job, JobSpec, LogEvent } from "../domain/job.ts";
import { accept, transition } from "../domain/transition.ts";
import { viewOf } from "../domain/view.ts";
import { logEvent } from "../log.ts";
import type { JobView, KeptRequest } from "../schema/job.ts";
import { JobStore } from "../storage/job-store.ts";
import { Announcer } from "./announcer.ts";
import { Departure } from "./departure.ts";
import { bodiesOf, framesOf } from "./job-reading.ts";
import type { Found } from "./job-rpc.ts";
import { perform } from "./perform.ts";
import { asking } from "./step-reading.ts";
import { Subscribers } from "./subscribers.ts";
import { WaitingText } from "./waiting-text.ts";

/**
 * Keeps one job: load, decide (domain/transition), store, then effects; no policy lives here. Between reading and
 * storing nothing is awaited, so commands cannot interleave; the platform holds back answers and frames until the rows
 * behind them are durable.
 */
export class JobKeeper {
  readonly store: JobStore;
  readonly subscribers: Subscribers;
  readonly waiting = new WaitingText();
  readonly alarm: AlarmClock;
  readonly departure: Departure;
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #announcer: Announcer;
  #job: Job | null | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
    this.store = new JobStore(ctx.storage);
    this.subscribers = new Subscribers(ctx);
    this.alarm = new AlarmClock(ctx.storage);
    this.#announcer = new Announcer(env, ctx.id.name ?? "", this.alarm);
    this.departure = new Departure(this.store, this.#announcer, this.alarm);
  }

  /** As it was left, whatever time has decided since. Null: never submitted, or forgotten. */
  get job(): Job | null {
    return this.#job ?? null;
  }

  /** `carried`: the outputs of the steps that the job it repeats has finished. */
  create(spec: JobSpec, request: KeptRequest, carried: string[]): Job {
    const bytes = carried.map((output) => new TextEncoder().encode(output).byteLength);
    const created = accept(spec, bytes);
    if (!created.ok) throw new Error("a new job was refused");
    this.store.create(created.job, created.events, request, carried);
    this.#adopt(created.job, created.events, created.effects);
    return created.job;
  }

  /** The job as it stands now: what time alone has decided is applied first. Null: never submitted. */
  settled(): Job | null {
    this.#job = this.#job === undefined ? this.store.load() : this.#job;
    while (this.#job !== null && Date.now() >= (dueAt(this.#job) ?? Infinity)) {
      const job = this.waiting.counted(this.#job);
      const wake = { type: "wake", jitter: Math.random() } as const;
      this.#commit(this.#job, transition(job, wake, Date.now()));
    }
    return this.#job;
  }

  apply(command: Command): Transition {
    const job = this.settled();
    if (job === null) return { ok: false, reason: "illegal" };
    const result = transition(job, command, Date.now());
    this.#commit(job, result);
    return result;
  }

  /** With the text that was shown and not appended, for nothing can be appended after. */
  cancel(reason: string): void {
    const waiting = this.waiting.of(this.settled());
    if (waiting !== null) this.apply(waiting);
    this.apply({ type: "cancel", reason });
  }

  view(job: Job): JobView {
    return viewOf(job, Date.now());
  }

  found<T>(value: (job: Job) => T, tenant?: string): Found<T> {
    const job = this.settled();
    if (job === null || isForeign(job, tenant)) return { type: "unknown" };
    if (job.status === "purged") return { type: "gone" };
    return { type: "found", value: value(job) };
  }

  #commit(previous: Job, result: Transition): void {
    if (!result.ok) return;
    const bodies = bodiesOf(previous, result, this.store, Date.now());
    this.store.commit(previous, result.job, result.events, bodies);
    this.#adopt(result.job, result.events, result.effects);
  }

  /** The job is stored: arm the alarm for it, show its events, do what is to be done. */
  #adopt(job: Job, events: LogEvent[], effects: Effect[]): void {
    this.#job = job;
    this.alarm.set(wakeAt(job));
    if (this.subscribers.any()) this.subscribers.send(framesOf(job, events, this.store, true));
    if (hasEnded(job)) this.subscribers.closeAll();
    for (const event of events) {
      logEvent(job, event);
      this.#announcer.count(job, event);
    }
    if (effects.some(({ type }) => type === "forget")) this.#job = null;
    for (const effect of effects) perform(effect, job, this.#ctx, this.#env, this.departure);
    // In the turn that brought it there, so that nobody finds a job at an approval that asks nothing.
    if (isToAsk(job, Date.now())) return this.#commit(job, asking(job, this.store, Date.now()));
    // Outside the answer's way: nobody waits for the ledgers.
    if (this.departure.leaving === null)
      this.#ctx.waitUntil(this.#announcer.announce(job, events.length > 0));
  }
}

import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "../alarm-clock.ts";
import { configOf } from "../settings/config.ts";
import type {
  DeadLetter,
  LetterFilter,
  LetterGroup,
  LetterPosition,
  LetterSummary,
} from "../domain/dead-letter.ts";
import type { Action, Operation, Selection } from "../domain/operation.ts";
import { logFault } from "../log.ts";
import { submitReserved } from "../submit/reservation.ts";
import { resubmit, type Submit } from "../submit/resubmit.ts";
import { AlertStore } from "../storage/alert-store.ts";
import { DEAD_LETTER_MIGRATIONS } from "../storage/dead-letter-schema.ts";
import { DeadLetterStore, type Placed } from "../storage/dead-letter-store.ts";
import { migrate } from "../storage/migrations.ts";
import { OperationStore } from "../storage/operation-store.ts";
import type { LetterPage, Retried, WholeLetter } from "./dead-letter-rpc.ts";
import { DepthAlert } from "./depth-alert.ts";
import { Operations } from "./operations.ts";

/** What an operator sends again goes before everything else. */
const PRIORITY_LEVEL = 1;

/** How long it is remembered that a letter was dealt with, an operation made, an alert sent. */
const KEPT_MS = 7 * 86_400_000;
/** What has been kept long enough goes together, about once an hour. */
const PRUNE_SLACK_MS = 3_600_000;

/**
 * The dead letters of the whole deployment, and what is done about them: the one place an operator has to look.
 *
 * Nothing is awaited between reading and storing but for the submission of a job, which may be repeated: the new job's
 * id is derived from the letter's. One alarm serves operations, alerts and pruning, armed for the soonest due of them.
 */
export class DeadLetterObject extends DurableObject<Env> {
  readonly #letters = new DeadLetterStore(this.ctx.storage);
  readonly #operationStore = new OperationStore(this.ctx.storage);
  readonly #alertStore = new AlertStore(this.ctx.storage);
  readonly #operations = new Operations({
    letters: this.#letters,
    store: this.#operationStore,
    resubmit: (dlqId) => this.#resubmit(dlqId),
    onClosed: () => this.#watch(),
  });
  readonly #alert = new DepthAlert({
    store: this.#alertStore,
    config: () => configOf(this.env),
    groups: () => this.#letters.groups({}),
    onChanged: () => this.#arm(),
  });
  readonly #alarm = new AlarmClock(this.ctx.storage);

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, DEAD_LETTER_MIGRATIONS);
    // An alarm whose handler never got to its end is given up in time; whoever wakes the object next sets it again.
    void ctx.blockConcurrencyWhile(async () => {
      if ((await ctx.storage.getAlarm()) === null) this.#arm();
    });
  }

  add(letters: DeadLetter[]): void {
    this.#letters.add(letters);
    this.#changed();
  }

  remove(dlqId: string): void {
    this.#letters.forget(dlqId, Date.now());
    this.#changed();
  }

  retried(dlqId: string, newJobId: string): void {
    this.#letters.close(dlqId, newJobId, Date.now());
    this.#changed();
  }

  list(filter: LetterFilter, before: LetterPosition | null, limit: number): LetterPage {
    // One more than asked for tells whether there is another page.
    const rows = this.#letters.list(filter, before, limit + 1);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      letters: page.map(unplaced),
      total: this.#letters.count({ filter }),
      next:
        rows.length > limit && last !== undefined ? { failedAt: last.failedAt, id: last.id } : null,
    };
  }

  groups(filter: LetterFilter): LetterGroup[] {
    return this.#letters.groups(filter);
  }

  depth(): number {
    return this.#letters.depth();
  }

  read(dlqId: string): WholeLetter | null {
    return this.#letters.read(dlqId);
  }

  async retry(dlqId: string): Promise<Retried> {
    const retried = await this.#resubmit(dlqId);
    if (retried.type === "resubmitted") this.retried(dlqId, retried.newJobId);
    return retried;
  }

  discard(dlqId: string): boolean {
    const discarded = this.#letters.close(dlqId, null, Date.now());
    this.#changed();
    return discarded;
  }

  start(action: Action, selection: Selection, ratePerSecond: number): Operation {
    const operation = this.#operations.start(action, selection, ratePerSecond);
    this.#arm();
    return operation;
  }

  operation(operationId: string): Operation | null {
    return this.#operationStore.read(operationId);
  }

  override async alarm(): Promise<void> {
    this.#alarm.stopped();
    const faults: unknown[] = [];
    const noted = (fault: unknown) => faults.push(fault);
    await Promise.resolve()
      .then(() => this.#deliver())
      .catch(noted);
    await this.#operations.carryOn().catch(noted);
    await Promise.resolve()
      .then(() => this.#prune())
      .catch(noted);
    for (const fault of faults) logFault("alarm.failed", { object: this.ctx.id.name }, fault);
    // The platform gives an alarm that throws up after six tries; this one must never be given up.
    this.#armAfterAlarm(faults.length > 0);
  }

  #deliver(): void {
    for (const attempt of this.#alert.deliver()) this.ctx.waitUntil(attempt);
  }

  /** A letter that was sent again already is answered as it was then. */
  async #resubmit(dlqId: string): Promise<Retried> {
    const letter = this.#letters.read(dlqId);
    if (letter === null) {
      const { jobId = null, newJobId = null } = this.#letters.handled(dlqId) ?? {};
      return jobId === null || newJobId === null
        ? { type: "unknown" }
        : { type: "resubmitted", jobId, newJobId };
    }
    const service = { env: this.env, config: configOf(this.env) };
    const submit: Submit = (candidate, door) => submitReserved(this.env, candidate, door);
    const result = await resubmit(letter, service, submit, { priorityLevel: PRIORITY_LEVEL });
    if (result.type === "refused") return result;
    switch (result.submitted.type) {
      case "accepted":
      case "replayed":
        return { type: "resubmitted", jobId: letter.jobId, newJobId: result.jobId };
      case "gone":
        return refusedFor("Its job was submitted again before, and that new job is gone");
      case "reused":
        return refusedFor("Another job has the id that its new job would have");
    }
  }

  #changed(): void {
    this.#watch();
    this.#arm();
  }

  /** A wrong setting must not keep a letter out. */
  #watch(): void {
    try {
      this.#alert.watch(this.#letters.depth());
    } catch (error) {
      logFault("alert.unwatched", { object: this.ctx.id.name }, error);
    }
  }

  #prune(): void {
    const before = Date.now() - KEPT_MS;
    this.#letters.prune(before);
    this.#operationStore.prune(before);
    this.#alertStore.prune(before);
  }

  /** When the soonest thing is due; Infinity if nothing is. */
  #dueAt(): number {
    const { nextStepAt, firstEndedAt } = this.#operationStore.times();
    const { nextAttemptAt, firstLoweredAt } = this.#alertStore.times();
    const oldest = Math.min(
      ...[this.#letters.firstHandledAt(), firstEndedAt, firstLoweredAt].map(orNever),
    );
    return Math.min(orNever(nextStepAt), orNever(nextAttemptAt), oldest + KEPT_MS + PRUNE_SLACK_MS);
  }

  /** Makes sure the alarm fires when the soonest thing is due. An earlier one is left as it is: it arms again. */
  #arm(): void {
    this.#alarm.set(this.#dueAt());
  }

  #armAfterAlarm(failed: boolean): void {
    // What was set meanwhile may be due already, and would fail again at once.
    if (failed) return this.#alarm.tryAgain(Date.now());
    this.#alarm.stopped();
    try {
      this.#arm();
    } catch (error) {
      logFault("alarm.failed", { object: this.ctx.id.name }, error);
      this.#alarm.tryAgain(Date.now());
    }
  }
}

/** The order of their coming is the ledger's own affair. */
function unplaced(placed: Placed<LetterSummary>): LetterSummary {
  const { id: _, ...letter } = placed;
  return letter;
}

/** Of the letter as a whole, not of a field of its request. */
function refusedFor(detail: string): Retried {
  return { type: "refused", refusals: [{ pointer: "", detail }] };
}

function orNever(at: number | null): number {
  return at ?? Infinity;
}

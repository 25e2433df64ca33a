import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "../alarm-clock.ts";
import {
  admissionOf,
  askAgainAt,
  ASK_AFTER_MS,
  chargeWith,
  isSameBill,
  isTold,
  moved,
  quotaOf,
  SUMMED_AFTER_MS,
  type Admission,
  type Books,
  type Charge,
  type ChargeKey,
} from "../domain/account.ts";
import type { Bill, ChargeStanding } from "../domain/bill.ts";
import { spanOf, startOfDay, type Period } from "../domain/period.ts";
import { RATE_WINDOW_MS, stillCounted } from "../domain/rate.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import type { Usage, UsageQuery } from "../domain/usage.ts";
import { sumOfWorst } from "../domain/worst-case.ts";
import { jobNamed } from "../job/job-stub.ts";
import { logFault } from "../log.ts";
import { AccountStore } from "../storage/account-store.ts";
import { within } from "../within.ts";
import type { Applicant, Applicants, Balance } from "./account-rpc.ts";

/** Work of one alarm: jobs that are asked, and charges that are summed up. */
const MOST_ASKED = 50;
const MOST_SUMMED = 500;

/** How long a job may take to answer, in milliseconds. */
const ASKED_WITHIN_MS = 10_000;

/** How often what is no longer kept is summed up, in milliseconds. */
const SUM_UP_EVERY_MS = 43_200_000;

/** How the tenant stands with the day that begins `at` and its month, as it is in the rows. */
type Opened = { at: number; books: Books };

/**
 * One tenant's account: lets its jobs in while its limits allow it, reserves what each may cost at most, and puts what it
 * did cost in the place of that.
 *
 * All is in its rows. The sums kept in memory are moved in the same synchronous turn as the row they are sums of, and
 * nothing is awaited between deciding and storing, so of any number of submissions at once exactly those are let in that
 * the budget holds.
 */
export class AccountObject extends DurableObject<Env> {
  readonly #store = new AccountStore(this.ctx.storage);
  readonly #alarm = new AlarmClock(this.ctx.storage);
  #opened: Opened | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => this.#alarm.recall(await ctx.storage.getAlarm()));
  }

  admit({ limits, reserveNano, ...applicant }: Applicant): Admission {
    const now = Date.now();
    const books = this.#books(applicant.submittedAt, now);
    // Asked again, for the answer was lost on the way.
    if (this.#store.find(applicant) !== null) {
      return { type: "admitted", quota: quotaOf(limits, books, now) };
    }
    const { submittedAt } = applicant;
    const admission = admissionOf({ submittedAt, reserveNano, limits }, books, now);
    if (admission.type !== "admitted") return admission;
    this.#write(null, { ...applicant, reservedNano: reserveNano ?? 0, bill: null });
    books.lately.push({ uid: applicant.uid, at: now });
    this.#alarm.set(now + ASK_AFTER_MS);
    return { type: "admitted", quota: quotaOf(limits, books, now) };
  }

  admitAll({ limits, submission, submittedAt, jobs }: Applicants): Admission {
    const now = Date.now();
    const books = this.#books(submittedAt, now);
    // Asked again, for the answer was lost on the way.
    if (jobs.some(({ uid }) => this.#store.find({ uid, submittedAt }) !== null)) {
      return { type: "admitted", quota: quotaOf(limits, books, now) };
    }
    const reserveNano = sumOfWorst(jobs.map((job) => job.reserveNano));
    const asked = { submittedAt, reserveNano, limits, jobs: jobs.length };
    const admission = admissionOf(asked, books, now);
    if (admission.type !== "admitted") return admission;
    for (const { reserveNano, ...job } of jobs) {
      const reservedNano = reserveNano ?? 0;
      this.#write(null, { ...job, submittedAt, submission, reservedNano, bill: null });
    }
    books.lately.push({ uid: submission, at: now });
    this.#alarm.set(now + ASK_AFTER_MS);
    return { type: "admitted", quota: quotaOf(limits, books, now) };
  }

  release(key: ChargeKey): void {
    this.releaseAll([key], key.uid);
  }

  releaseAll(keys: ChargeKey[], submission?: string): void {
    const charges = keys.map((key) => this.#store.find(key));
    const open = charges.filter((charge) => charge !== null && charge.bill === null);
    for (const charge of open) this.#write(charge, null);
    if (this.#opened === null || open.length === 0) return;
    const { books } = this.#opened;
    books.lately = books.lately.filter(({ uid }) => uid !== submission);
  }

  settle(key: ChargeKey & Pick<Charge, "job">, bill: Bill): void {
    const now = Date.now();
    const known = this.#store.find(key);
    if (known === null && isTold(bill, now)) return;
    const settled = chargeWith(known, key, bill);
    if (isSameBill(known?.bill ?? null, settled.bill)) return;
    this.#write(known, settled);
    this.#alarm.set(now + SUMMED_AFTER_MS);
  }

  usage(query: UsageQuery): Usage {
    return this.#store.usage(query);
  }

  balance(limits: TenantLimits): Balance {
    const now = Date.now();
    const books = this.#books(now, now);
    const { day, month } = books;
    return { spent: { day, month }, quota: quotaOf(limits, books, now) };
  }

  override async alarm(): Promise<void> {
    this.#alarm.stopped();
    try {
      const now = Date.now();
      await this.#askOverdue(now);
      const isMore = this.#store.sumUp(now - SUMMED_AFTER_MS, MOST_SUMMED);
      if (isMore) this.#alarm.set(now);
      else if (this.#store.hasSettled()) this.#alarm.set(now + SUM_UP_EVERY_MS);
      this.#alarm.set(this.#store.nextAskAt());
    } catch (error) {
      logFault("alarm.failed", { object: this.ctx.id.name }, error);
      this.#alarm.tryAgain(Date.now());
    }
  }

  /** Asks jobs that have not been heard of for long: one that never came to be holds its reservation no longer. */
  async #askOverdue(now: number): Promise<void> {
    const overdue = this.#store.toAsk(now, MOST_ASKED);
    await Promise.all(
      overdue.map(async (charge) => {
        const standing = await this.#ask(charge);
        // It may have told meanwhile, and what it told is the newer.
        const isOpen = this.#store.find(charge)?.bill === null;
        if (!isOpen) return;
        if (standing.type === "unknown") this.release(charge);
        else if (standing.type === "ended") this.settle(charge, standing.bill);
        else this.#store.askLater(charge, askAgainAt(charge, now));
      }),
    );
  }

  /** A job that does not answer may well be there. */
  async #ask({ uid, job }: Charge): Promise<ChargeStanding> {
    try {
      return await within(ASKED_WITHIN_MS, jobNamed(this.env, job).bill(uid));
    } catch (error) {
      logFault("job.unreachable", { object: job }, error);
      return { type: "open" };
    }
  }

  /** Every change of a charge: the row and the sums it is in. */
  #write(before: Charge | null, after: Charge | null): void {
    if (after !== null) this.#store.put(before, after);
    else if (before !== null) this.#store.remove(before);
    const charge = after ?? before;
    if (this.#opened === null || charge === null) return;
    const { at, books } = this.#opened;
    for (const period of ["day", "month"] as const) {
      const { start, end } = spanOf(period, at);
      if (charge.submittedAt < start || charge.submittedAt >= end) continue;
      books[period] = moved(books[period], before, after);
    }
    books.open += Number(after?.bill === null) - Number(before?.bill === null);
  }

  /** How the tenant stands with what was submitted in the day and the month of `submittedAt`. */
  #books(submittedAt: number, now: number): Books {
    const day = startOfDay(submittedAt);
    if (this.#opened?.at !== day) {
      const known = this.#opened?.books;
      const spent = (period: Period) => this.#store.spent(spanOf(period, day));
      const books = {
        day: spent("day"),
        month: spent("month"),
        open: known?.open ?? this.#store.open(),
        lately: known?.lately ?? this.#store.since(now - RATE_WINDOW_MS),
      };
      this.#opened = { at: day, books };
    }
    const { books } = this.#opened;
    books.lately = stillCounted(books.lately, now);
    return books;
  }
}

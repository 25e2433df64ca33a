import type { Bill } from "./bill.ts";
import { nanoOf } from "./money.ts";
import { spanOf, type Period } from "./period.ts";
import { rateAt, type Counted, type Rate } from "./rate.ts";
import type { TenantLimits } from "./tenant.ts";

/** Which charge: a job's own, by what no other job ever has. It belongs to the day the job was submitted in. */
export type ChargeKey = { uid: string; submittedAt: number };

/** What a job may cost while it is open, and what it did cost. Money in billionths of a dollar. */
export type Charge = ChargeKey & {
  /** The name of the job's object. */
  job: string;
  model: string;
  user: string | null;
  reservedNano: number;
  /** Null while it is open. */
  bill: Bill | null;
  /** The submission it was of, where that was of several jobs: the rate counts submissions. */
  submission?: string;
};

/** Of the jobs submitted in one day or month: what those that ended cost, and what the open ones may cost. */
export type Spent = { settledNano: number; reservedNano: number };

/** How a tenant stands. `lately`: the submissions its rate counts, in their order. */
export type Books = Record<Period, Spent> & { open: number; lately: Counted[] };

/**
 * What asks to be let in. `reserveNano`: the most it may cost; null: its price is not known. `jobs`: how many there are in it;
 * one where it is not said.
 */
export type Asked = {
  submittedAt: number;
  reserveNano: number | null;
  limits: TenantLimits;
  jobs?: number;
};

/** How much of its limits is left, where it has any. */
export type Quota = { rate: Rate | null; depth: { limit: number; left: number } | null };

export type Admission = { quota: Quota } & (
  | { type: "admitted" }
  | { type: "rate" | "depth" | "unpriced" }
  /** `leftNano`: what the job would have to fit into. `resetsAt`: epoch milliseconds. */
  | { type: "budget"; period: Period; leftNano: number; resetsAt: number }
);

/** Why a job is not let in. */
export type Refusal = Exclude<Admission, { type: "admitted" }>;

const PERIODS: readonly Period[] = ["day", "month"];

/** Whether nothing need be asked before a job is let in. */
export function isUnlimited(limits: TenantLimits): boolean {
  return Object.values(limits).every((limit) => limit === null);
}

/** Whether it is let in, whole or not at all, and what its tenant has left then. */
export function admissionOf(asked: Asked, books: Books, now: number): Admission {
  const quota = quotaOf(asked.limits, books, now);
  if (quota.rate?.left === 0) return { type: "rate", quota };
  if (quota.depth !== null && quota.depth.left < (asked.jobs ?? 1)) return { type: "depth", quota };
  for (const period of PERIODS) {
    const budgetNano = budgetOf(period, asked.limits);
    if (budgetNano === null) continue;
    // What nobody can price nobody can meter: it could cost any sum.
    if (asked.reserveNano === null) return { type: "unpriced", quota };
    const leftNano = budgetNano - books[period].settledNano - books[period].reservedNano;
    if (asked.reserveNano <= leftNano) continue;
    const resetsAt = spanOf(period, asked.submittedAt).end;
    return { type: "budget", period, leftNano: Math.max(0, leftNano), resetsAt, quota };
  }
  return { type: "admitted", quota };
}

export function quotaOf(limits: TenantLimits, { open, lately }: Books, now: number): Quota {
  const { submitsPerMinute, maxQueued } = limits;
  return {
    rate: submitsPerMinute === null ? null : rateAt(lately, submitsPerMinute, now),
    depth: maxQueued === null ? null : { limit: maxQueued, left: Math.max(0, maxQueued - open) },
  };
}

/** The budget of a period in billionths of a dollar; null: there is none. */
export function budgetOf(period: Period, limits: TenantLimits): number | null {
  const usd = period === "day" ? limits.dayBudgetUsd : limits.monthBudgetUsd;
  return usd === null ? null : nanoOf(usd);
}

/** The sums once a charge has become another; null: it was not there, or is no more. */
export function moved(spent: Spent, before: Charge | null, after: Charge | null): Spent {
  return {
    settledNano: spent.settledNano + settled(after) - settled(before),
    reservedNano: spent.reservedNano + reserved(after) - reserved(before),
  };
}

/** The charge once its job has told what it came to. Whose it was is known from before, where the job has forgotten. */
export function chargeWith(
  known: Charge | null,
  { uid, submittedAt, job }: ChargeKey & Pick<Charge, "job">,
  told: Bill,
): Charge & { bill: Bill } {
  const user = told.user === undefined ? (known?.user ?? null) : told.user;
  const { model } = told;
  const reservedNano = known?.reservedNano ?? 0;
  return { uid, submittedAt, job, model, user, reservedNano, bill: { ...told, user } };
}

/** Whether nothing new is told. */
export function isSameBill(known: Bill | null, told: Bill): boolean {
  if (known === null) return false;
  const before: Record<string, unknown> = { ...known };
  return Object.entries(told).every(([field, value]) => before[field] === value);
}

function settled(charge: Charge | null): number {
  return charge?.bill?.costNano ?? 0;
}

function reserved(charge: Charge | null): number {
  return charge === null || charge.bill !== null ? 0 : charge.reservedNano;
}

/** How long after its submission a job that has not been heard of is asked for the first time, in milliseconds. */
export const ASK_AFTER_MS = 600_000;

/** The longest until it is asked again. */
const ASK_AT_LEAST_EVERY_MS = 86_400_000;

/** When a job that was asked at `now` and is still open is asked again: the older it is the later. It will tell by itself. */
export function askAgainAt({ submittedAt }: ChargeKey, now: number): number {
  return now + Math.min(ASK_AT_LEAST_EVERY_MS, Math.max(ASK_AFTER_MS, 2 * (now - submittedAt)));
}

/**
 * How long after a job's end its charge is kept by itself, in milliseconds. Told again within that time, by a job that
 * has lost its memory, it is known; later it must have been told.
 */
export const KEPT_MS = 2 * 86_400_000;

/** Clocks differ: what is no longer kept is summed up so much later, so that nothing is told after it was. */
export const SUMMED_AFTER_MS = KEPT_MS + 3_600_000;

/** Whether a bill that nobody has is too old to be new. */
export function isTold({ endedAt }: Bill, now: number): boolean {
  return endedAt <= now - KEPT_MS;
}

import type { Charge } from "../domain/account.ts";
import type { Bill } from "../domain/bill.ts";
import { startOfDay } from "../domain/period.ts";
import { NO_USAGE, type UsageSum } from "../domain/usage.ts";

/** A charge as it is kept. What belongs to its bill is 0 while it is open. */
export type ChargeRow = {
  settled: number;
  submittedAt: number;
  uid: string;
  job: string;
  model: string;
  /** '': none. */
  user: string;
  reserved: number;
  endedAt: number;
  promptTokens: number;
  completionTokens: number;
  cost: number;
  wasted: number;
};

export const CHARGE_COLUMNS = `settled, submitted_at AS submittedAt, uid, job, model, user, reserved,
  ended_at AS endedAt, prompt_tokens AS promptTokens, completion_tokens AS completionTokens, cost, wasted`;

/** The values of its primary key. */
export function keyOf({ bill, submittedAt, uid }: Charge): [number, number, string] {
  return [Number(bill !== null), submittedAt, uid];
}

/** The values of its last five columns. */
export function billColumns(bill: Bill | null): number[] {
  if (bill === null) return [0, 0, 0, 0, 0];
  const { endedAt, promptTokens, completionTokens, costNano, wastedNano } = bill;
  return [endedAt, promptTokens, completionTokens, costNano, wastedNano];
}

export function chargeOf(row: ChargeRow): Charge {
  const { submittedAt, uid, job, model, reserved: reservedNano } = row;
  const user = row.user === "" ? null : row.user;
  const { endedAt, promptTokens, completionTokens, cost: costNano, wasted: wastedNano } = row;
  const used = { endedAt, promptTokens, completionTokens, costNano, wastedNano };
  const bill = row.settled === 0 ? null : { model, user, ...used };
  return { uid, submittedAt, job, model, user, reservedNano, bill };
}

/** What charges of a day, a model and a user come to. */
export type DaySum = UsageSum & { day: number; model: string; user: string };

/** The sums of these charges, one for each day, model and user. */
export function sumsOf(rows: ChargeRow[]): DaySum[] {
  const sums = new Map<string, DaySum>();
  for (const { submittedAt, model, user, promptTokens, completionTokens, ...row } of rows) {
    const day = startOfDay(submittedAt);
    const key = JSON.stringify([day, model, user]);
    const before = sums.get(key) ?? { day, model, user, ...NO_USAGE };
    sums.set(key, {
      ...before,
      jobs: before.jobs + 1,
      promptTokens: before.promptTokens + promptTokens,
      completionTokens: before.completionTokens + completionTokens,
      costNano: before.costNano + row.cost,
      wastedNano: before.wastedNano + row.wasted,
    });
  }
  return [...sums.values()];
}

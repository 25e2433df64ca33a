import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  admissionOf,
  askAgainAt,
  isTold,
  isUnlimited,
  moved,
  type Books,
  type Charge,
} from "../../src/domain/account.ts";
import type { Bill } from "../../src/domain/bill.ts";
import { nanoOf } from "../../src/domain/money.ts";
import { spanOf } from "../../src/domain/period.ts";
import { rateAt, stillCounted, type Counted } from "../../src/domain/rate.ts";
import { NO_LIMITS, type TenantLimits } from "../../src/domain/tenant.ts";
import { DAY, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

const NOTHING = { settledNano: 0, reservedNano: 0 };
const EMPTY: Books = { day: NOTHING, month: NOTHING, open: 0, lately: [] };

function asked(limits: Partial<TenantLimits>, reserveNano: number | null = nanoOf(1)) {
  return { submittedAt: NOW, reserveNano, limits: { ...NO_LIMITS, ...limits } };
}

function lately(...agoMs: number[]): Counted[] {
  return agoMs.map((ago) => ({ uid: `uid-${ago}`, at: NOW - ago }));
}

describe("a job is let in", () => {
  it("where its tenant has no limits at all, and only there nobody need be asked", () => {
    expect(isUnlimited(NO_LIMITS)).toBe(true);
    for (const limit of Object.keys(NO_LIMITS)) {
      expect(isUnlimited({ ...NO_LIMITS, [limit]: 0 })).toBe(false);
    }
    const quota = { rate: null, depth: null };
    expect(admissionOf(asked({}), EMPTY, NOW)).toEqual({ type: "admitted", quota });
  });

  it.each([
    ["up to its budget to the last billionth", 1, 0, 1, "admitted"],
    ["not a billionth above it", 1, 1e-9, 1, "budget"],
    ["beside what is reserved for others", 3, 1, 1, "admitted"],
    ["with a budget of nothing, if it costs nothing", 0, 0, 0, "admitted"],
  ])("%s", (_, budget, spent, cost, type) => {
    const settled = { settledNano: nanoOf(spent), reservedNano: 0 };
    const reserved = { settledNano: 0, reservedNano: nanoOf(spent) };
    for (const day of [settled, reserved]) {
      const limited = asked({ dayBudgetUsd: budget }, nanoOf(cost));
      expect(admissionOf(limited, { ...EMPTY, day }, NOW).type).toBe(type);
    }
  });

  it("not where either of its budgets is out, and is told which, until when and what is left", () => {
    const spent = { settledNano: nanoOf(4), reservedNano: nanoOf(0.5) };
    const limits = { dayBudgetUsd: 5, monthBudgetUsd: 5 };
    const inDay = admissionOf(asked(limits), { ...EMPTY, day: spent, month: spent }, NOW);
    const inMonth = admissionOf(asked(limits), { ...EMPTY, month: spent }, NOW);
    const left = { type: "budget", leftNano: nanoOf(0.5) };
    expect(inDay).toMatchObject({ ...left, period: "day", resetsAt: Date.UTC(2026, 10, 23) });
    expect(inMonth).toMatchObject({ ...left, period: "month", resetsAt: Date.UTC(2026, 11, 1) });
  });

  it("not where a budget would have to pay a price that nobody knows", () => {
    expect(admissionOf(asked({ monthBudgetUsd: 1_000 }, null), EMPTY, NOW).type).toBe("unpriced");
    expect(admissionOf(asked({ maxQueued: 1 }, null), EMPTY, NOW).type).toBe("admitted");
  });

  it("not beside as many as may be open, nor more often than it may be", () => {
    expect(admissionOf(asked({ maxQueued: 2 }), { ...EMPTY, open: 1 }, NOW).type).toBe("admitted");
    expect(admissionOf(asked({ maxQueued: 2 }), { ...EMPTY, open: 2 }, NOW)).toMatchObject({
      type: "depth",
      quota: { depth: { limit: 2, left: 0 } },
    });
    const books = { ...EMPTY, lately: lately(30 * SECOND, SECOND) };
    expect(admissionOf(asked({ submitsPerMinute: 3 }), books, NOW).type).toBe("admitted");
    expect(admissionOf(asked({ submitsPerMinute: 2 }), books, NOW)).toMatchObject({
      type: "rate",
      quota: { rate: { limit: 2, left: 0, resetMs: 30 * SECOND } },
    });
  });
});

describe("a rate", () => {
  it("counts a submission for a minute, and says when there is room for one more", () => {
    expect(rateAt([], 2, NOW)).toEqual({ limit: 2, left: 2, resetMs: null });
    expect(rateAt(lately(MINUTE), 2, NOW)).toEqual({ limit: 2, left: 2, resetMs: null });
    expect(rateAt(lately(MINUTE - 1), 2, NOW)).toEqual({ limit: 2, left: 1, resetMs: 1 });
    for (const counted of [[], lately(SECOND)]) {
      expect(rateAt(counted, 0, NOW)).toEqual({ limit: 0, left: 0, resetMs: null });
    }
    expect(stillCounted(lately(MINUTE, MINUTE - 1, 0), NOW)).toEqual(lately(MINUTE - 1, 0));
  });

  it("that was lowered has room when as many have passed as are too many, and one", () => {
    const counted = lately(50 * SECOND, 40 * SECOND, 30 * SECOND);
    expect(rateAt(counted, 1, NOW)).toEqual({ limit: 1, left: 0, resetMs: 30 * SECOND });
    expect(rateAt(counted, 2, NOW)).toEqual({ limit: 2, left: 0, resetMs: 20 * SECOND });
  });

  it("never lets more in than its limit in any minute whatever", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 100 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 5 }), (waits, limit) => {
        let counted: Counted[] = [];
        const all: number[] = [];
        let now = NOW;
        for (const wait of waits) {
          now += wait;
          counted = stillCounted(counted, now);
          const { left, resetMs } = rateAt(counted, limit, now);
          if (left > 0) {
            counted.push({ uid: "any", at: now });
            all.push(now);
          } else {
            expect(rateAt(counted, limit, now + (resetMs ?? 0)).left).toBeGreaterThan(0);
          }
        }
        for (const at of all) {
          expect(
            all.filter((other) => other > at - MINUTE && other <= at).length,
          ).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });
});

const BILL: Bill = {
  model: "gpt-4o",
  user: null,
  endedAt: NOW,
  promptTokens: 9,
  completionTokens: 90,
  costNano: 300,
  wastedNano: 0,
};
const OPEN: Charge = {
  uid: "uid",
  submittedAt: NOW,
  job: "object",
  model: "gpt-4o",
  user: null,
  reservedNano: 1_000,
  bill: null,
};

describe("the sums of an account", () => {
  it("follow a charge as it is reserved, settled, corrected and released", () => {
    const settled = { ...OPEN, bill: BILL };
    const corrected = { ...OPEN, bill: { ...BILL, costNano: 200 } };
    const reserved = moved(NOTHING, null, OPEN);
    expect(reserved).toEqual({ settledNano: 0, reservedNano: 1_000 });
    expect(moved(reserved, OPEN, null)).toEqual(NOTHING);
    expect(moved(reserved, OPEN, settled)).toEqual({ settledNano: 300, reservedNano: 0 });
    const after = moved(moved(reserved, OPEN, settled), settled, corrected);
    expect(after).toEqual({ settledNano: 200, reservedNano: 0 });
    expect(moved(NOTHING, null, settled)).toEqual({ settledNano: 300, reservedNano: 0 });
  });
});

describe("a job that was not heard of", () => {
  it("is asked again after ten minutes at least, the later the older it is, and once a day at least", () => {
    expect(askAgainAt(OPEN, NOW)).toBe(NOW + 10 * MINUTE);
    expect(askAgainAt(OPEN, NOW + HOUR)).toBe(NOW + 3 * HOUR);
    expect(askAgainAt(OPEN, NOW + 20 * DAY)).toBe(NOW + 21 * DAY);
  });

  it("is not charged anew once its charge may have been summed up", () => {
    expect(isTold(BILL, NOW + 2 * DAY - 1)).toBe(false);
    expect(isTold(BILL, NOW + 2 * DAY)).toBe(true);
  });
});

describe("days and months", () => {
  it("begin and end in UTC, whatever their length", () => {
    const leap = Date.UTC(2028, 1, 29, 23, 59, 59, 999);
    expect(spanOf("day", leap)).toEqual({
      start: Date.UTC(2028, 1, 29),
      end: Date.UTC(2028, 2, 1),
    });
    expect(spanOf("month", leap)).toEqual({
      start: Date.UTC(2028, 1, 1),
      end: Date.UTC(2028, 2, 1),
    });
    const newYear = Date.UTC(2027, 0, 1);
    expect(spanOf("month", newYear - 1)).toEqual({ start: Date.UTC(2026, 11, 1), end: newYear });
    expect(spanOf("day", newYear)).toEqual({ start: newYear, end: newYear + DAY });
  });
});

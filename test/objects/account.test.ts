import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import { KEPT_MS, SUMMED_AFTER_MS } from "../../src/domain/account.ts";
import type { Bill } from "../../src/domain/bill.ts";
import { nanoOf } from "../../src/domain/money.ts";
import { startOfDay } from "../../src/domain/period.ts";
import { NO_LIMITS, type TenantLimits } from "../../src/domain/tenant.ts";
import { accountName } from "../../src/ids.ts";
import type { AccountRpc, Applicant } from "../../src/ledgers/account-rpc.ts";
import { accountOf } from "../../src/ledgers/account-stub.ts";
import {
  completed,
  COST,
  DAY_MS,
  holdClock,
  job,
  newName,
  passTime,
  REQUEST,
  specOf,
} from "./support.ts";

holdClock({ ledgersToo: false });

const MINUTE_MS = 60_000;

function account(tenant: string): Promise<AccountRpc> {
  return accountOf(env, tenant);
}

function applicant(limits: Partial<TenantLimits> = {}, over: Partial<Applicant> = {}): Applicant {
  return {
    uid: `uid-${crypto.randomUUID()}`,
    submittedAt: Date.now(),
    job: newName(),
    model: "gpt-4o",
    user: null,
    reserveNano: nanoOf(1),
    limits: { ...NO_LIMITS, ...limits },
    ...over,
  };
}

function billOf(over: Partial<Bill> = {}): Bill {
  const tokens = { promptTokens: 9, completionTokens: 90 };
  const cost = { costNano: nanoOf(0.25), wastedNano: 0 };
  return { model: "gpt-4o", user: null, endedAt: Date.now(), ...tokens, ...cost, ...over };
}

async function admit(tenant: string, asking: Applicant): Promise<string> {
  return (await (await account(tenant)).admit(asking)).type;
}

async function settle(tenant: string, charge: Applicant, bill = billOf()): Promise<void> {
  const { uid, submittedAt, job } = charge;
  await (await account(tenant)).settle({ uid, submittedAt, job }, bill);
}

/** Dollars of today: what is settled, and what is reserved. */
async function spent(tenant: string): Promise<[number, number]> {
  const { settledNano, reservedNano } = (await (await account(tenant)).balance(NO_LIMITS)).spent
    .day;
  return [settledNano / 1e9, reservedNano / 1e9];
}

async function rowsOf(tenant: string) {
  const stub = env.ACCOUNTS.getByName(await accountName(tenant));
  return runInDurableObject(stub, async (_account, { storage }) => {
    const { sql } = storage;
    const tables = sql.exec("SELECT name FROM sqlite_master").toArray();
    const count = (table: string) =>
      tables.length === 0
        ? 0
        : sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
    return { charges: count("charge"), sums: count("day_sum"), alarm: await storage.getAlarm() };
  });
}

async function ring(tenant: string): Promise<void> {
  const stub = env.ACCOUNTS.getByName(await accountName(tenant));
  const alarm = await runInDurableObject(stub, (_account, { storage }) => storage.getAlarm());
  if (alarm === null) throw new Error("the account has no alarm");
  vi.setSystemTime(Math.max(Date.now(), alarm));
  await runDurableObjectAlarm(stub);
}

async function usage(tenant: string, groupBy: "model" | "day" | "user" = "day") {
  const to = startOfDay(Date.now()) + DAY_MS;
  return (await account(tenant)).usage({ from: to - 30 * DAY_MS, to, groupBy });
}

describe("a budget", () => {
  it("lets exactly as many of two hundred jobs in at once as it holds, and none after a crash", async () => {
    const tenant = newName();
    const all = Array.from({ length: 200 }, () => applicant({ dayBudgetUsd: 17 }));
    const told = await Promise.all(all.map((one) => admit(tenant, one)));
    expect(told.filter((type) => type === "admitted")).toHaveLength(17);
    expect(told.filter((type) => type === "budget")).toHaveLength(183);
    await abortAllDurableObjects();
    expect(await admit(tenant, applicant({ dayBudgetUsd: 17 }))).toBe("budget");
    expect(await spent(tenant)).toEqual([0, 17]);
  });

  it("has room again for what a job did not cost, before and after a crash", async () => {
    const tenant = newName();
    const first = applicant({ monthBudgetUsd: 1.25 });
    expect(await admit(tenant, first)).toBe("admitted");
    expect(await admit(tenant, applicant({ monthBudgetUsd: 1.25 }))).toBe("budget");
    await settle(tenant, first);
    expect(await spent(tenant)).toEqual([0.25, 0]);
    await abortAllDurableObjects();
    expect(await spent(tenant)).toEqual([0.25, 0]);
    expect(await admit(tenant, applicant({ monthBudgetUsd: 1.25 }))).toBe("admitted");
    expect(await admit(tenant, applicant({ monthBudgetUsd: 1.25 }))).toBe("budget");
  });

  it("of a day is whole again the next day, of a month the next month, whatever is open still", async () => {
    const tenant = newName();
    vi.setSystemTime(startOfDay(Date.now()) + DAY_MS - 1_000);
    const limits = { dayBudgetUsd: 1 };
    expect(await admit(tenant, applicant(limits))).toBe("admitted");
    expect(await admit(tenant, applicant(limits))).toBe("budget");
    passTime(1_000);
    expect(await admit(tenant, applicant(limits))).toBe("admitted");
    expect(await admit(tenant, applicant(limits))).toBe("budget");
  });
});

describe("a charge", () => {
  it("is one however often it is asked for, and is told of", async () => {
    const tenant = newName();
    const one = applicant({ dayBudgetUsd: 1 });
    expect(await admit(tenant, one)).toBe("admitted");
    expect(await admit(tenant, one)).toBe("admitted");
    for (const _again of [1, 2]) await settle(tenant, one);
    expect(await spent(tenant)).toEqual([0.25, 0]);
    expect(await rowsOf(tenant)).toMatchObject({ charges: 1 });
  });

  it("gives way to a later account of the same job, and is not given back once it is settled", async () => {
    const tenant = newName();
    const one = applicant();
    await admit(tenant, one);
    await settle(tenant, one);
    await settle(tenant, one, billOf({ user: "ada", costNano: nanoOf(0.5) }));
    const { user: _, ...forgotten } = billOf({ costNano: nanoOf(0.5) });
    await settle(tenant, one, forgotten);
    await (await account(tenant)).release(one);
    expect((await usage(tenant, "user")).groups).toMatchObject([{ value: "ada" }]);
    expect(await spent(tenant)).toEqual([0.5, 0]);
    expect((await usage(tenant)).total).toMatchObject({ jobs: 1, costNano: nanoOf(0.5) });
  });

  it("that is released frees its money, its place and its share of the rate", async () => {
    const tenant = newName();
    const limits = { dayBudgetUsd: 1, maxQueued: 1, submitsPerMinute: 1 };
    const one = applicant(limits);
    expect(await admit(tenant, one)).toBe("admitted");
    for (const _again of [1, 2]) await (await account(tenant)).release(one);
    expect(await rowsOf(tenant)).toMatchObject({ charges: 0 });
    expect(await admit(tenant, applicant(limits))).toBe("admitted");
  });
});

describe("rate and depth", () => {
  it("are counted from the rows after a crash", async () => {
    const tenant = newName();
    const limits = { submitsPerMinute: 2 };
    expect(await admit(tenant, applicant(limits))).toBe("admitted");
    passTime(30_000);
    const second = applicant(limits);
    expect(await admit(tenant, second)).toBe("admitted");
    await settle(tenant, second);
    await abortAllDurableObjects();
    const refused = await (await account(tenant)).admit(applicant(limits));
    expect(refused).toMatchObject({ type: "rate", quota: { rate: { left: 0, resetMs: 30_000 } } });
    passTime(30_000);
    expect(await admit(tenant, applicant({ ...limits, maxQueued: 2 }))).toBe("admitted");
    await abortAllDurableObjects();
    expect(await admit(tenant, applicant({ maxQueued: 2 }))).toBe("depth");
  });
});

/** A job of its own name that came to be, and the charge that was made for it. */
async function submitted(tenant: string): Promise<Applicant> {
  const name = newName();
  const spec = specOf({ id: name, tenant: newName() });
  await job(name).submit(spec, REQUEST);
  const { uid, submittedAt } = spec;
  const charge = applicant({}, { uid, submittedAt, job: name });
  await admit(tenant, charge);
  return charge;
}

describe("a reservation", () => {
  it("for a job that never came to be is free again after ten minutes", async () => {
    const tenant = newName();
    const lost = applicant();
    await admit(tenant, lost);
    const other = await submitted(newName());
    // Its id has gone to another job meanwhile.
    await admit(tenant, applicant({}, { job: other.job }));
    expect((await rowsOf(tenant)).alarm).toBe(Date.now() + 10 * MINUTE_MS);
    await ring(tenant);
    expect(await spent(tenant)).toEqual([0, 0]);
    expect(await rowsOf(tenant)).toEqual({ charges: 0, sums: 0, alarm: null });
  });

  it("stays while its job is open, or does not answer, and is asked for again", async () => {
    const tenant = newName();
    await submitted(tenant);
    await ring(tenant);
    expect(await spent(tenant)).toEqual([0, 1]);
    expect((await rowsOf(tenant)).alarm).toBe(Date.now() + 20 * MINUTE_MS);
  });

  it("is settled from its job, where that has ended and was not heard", async () => {
    const tenant = newName();
    const { job: name } = await submitted(tenant);
    await completed(name, "Because.");
    await ring(tenant);
    expect(await spent(tenant)).toEqual([COST, 0]);
    const { total } = await usage(tenant);
    expect(total).toMatchObject({ jobs: 1, promptTokens: 9, completionTokens: 90 });
  });
});

describe("usage", () => {
  it("is the same by model, day and user, one by one and summed up, and nothing is told twice", async () => {
    const tenant = newName();
    const bills = [
      { model: "gpt-4o", user: "ada", costNano: 3 },
      { model: "gpt-4o", user: null, costNano: 2 },
      { model: "claude", user: "ada", costNano: 1, wastedNano: 1 },
    ].map(billOf);
    const first = applicant();
    for (const bill of bills) await settle(tenant, bill === bills[0] ? first : applicant(), bill);
    const groups = async () => {
      const told = await Promise.all(
        (["model", "user", "day"] as const).map((groupBy) => usage(tenant, groupBy)),
      );
      return told.map(({ groups, left, total }) => ({
        sums: groups.map(({ value, jobs, costNano }) => [value, jobs, costNano]),
        left,
        total,
      }));
    };
    const day = startOfDay(Date.now());
    const before = await groups();
    const total = { jobs: 3, promptTokens: 27, completionTokens: 270, costNano: 6, wastedNano: 1 };
    const whole = { left: 0, total };
    expect(before).toEqual([
      {
        sums: [
          ["gpt-4o", 2, 5],
          ["claude", 1, 1],
        ],
        ...whole,
      },
      {
        sums: [
          ["ada", 2, 4],
          [null, 1, 2],
        ],
        ...whole,
      },
      { sums: [[day, 3, 6]], ...whole },
    ]);
    await ring(tenant);
    expect(await rowsOf(tenant)).toEqual({ charges: 0, sums: 3, alarm: null });
    expect(await groups()).toEqual(before);
    await settle(tenant, first, bills[0]);
    await abortAllDurableObjects();
    expect(await groups()).toEqual(before);
  });

  it("of a day that is kept is not summed up, nor is what is open", async () => {
    const tenant = newName();
    const open = applicant();
    await admit(tenant, open);
    await settle(tenant, applicant());
    passTime(KEPT_MS);
    // The job that is open is asked, is not there, and is released; the other is kept an hour more.
    await ring(tenant);
    expect(await rowsOf(tenant)).toMatchObject({ charges: 1, sums: 0 });
    passTime(SUMMED_AFTER_MS - KEPT_MS);
    await ring(tenant);
    expect(await rowsOf(tenant)).toEqual({ charges: 0, sums: 1, alarm: null });
  });

  it("of nobody is nothing, and leaves nothing behind", async () => {
    const tenant = newName();
    expect(await usage(tenant)).toMatchObject({ groups: [], left: 0, total: { jobs: 0 } });
    expect(await spent(tenant)).toEqual([0, 0]);
    await (await account(tenant)).release(applicant());
    expect(await rowsOf(tenant)).toEqual({ charges: 0, sums: 0, alarm: null });
  });
});

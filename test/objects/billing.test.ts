import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";

import { nanoOf } from "../../src/domain/money.ts";
import { ledgers } from "./ledgers.ts";
import {
  COST,
  completed,
  deadLetter,
  holdClock,
  job,
  leased,
  newName,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  REPORT,
  REQUEST,
  specOf,
  submitted,
  wakeWhenDue,
} from "./support.ts";

holdClock();

/** Waits for the account to have heard of so many bills; it is told behind the answers' backs. */
async function billed(name: string, times: number) {
  await vi.waitFor(() => expect(ledgers.billsOf(name)).toHaveLength(times));
  return ledgers.billsOf(name).at(-1);
}

const ONE_CALL = { promptTokens: 9, completionTokens: 90 };

describe("a job's account", () => {
  it("hears at the job's end what all its calls cost, and which were for nothing (invariant 10)", async () => {
    const name = newName();
    const spec = specOf({ user: "ada" });
    await job(name).submit(spec, REQUEST);
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, REPORT);
    expect(ledgers.billsOf(name)).toEqual([]);
    passTime(10_000);
    const endedAt = Date.now();
    await completed(name, "Because.");
    expect(await billed(name, 1)).toEqual({
      model: "gpt-4o",
      user: "ada",
      endedAt,
      promptTokens: 18,
      completionTokens: 180,
      costNano: 2 * nanoOf(COST),
      wastedNano: nanoOf(COST),
    });
    expect(ledgers.billed.find(({ job }) => job === name)).toMatchObject({
      uid: spec.uid,
      submittedAt: spec.submittedAt,
    });
  });

  it("hears once more when a call that was stopped is accounted for", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "x".repeat(1_000)));
    await job(name).cancel("enough");
    expect(await billed(name, 1)).not.toMatchObject(ONE_CALL);
    await job(name).account(token, REPORT);
    expect(await billed(name, 2)).toMatchObject({ ...ONE_CALL, wastedNano: nanoOf(COST) });
  });

  it("hears of a job that made no call, so that its reservation is settled", async () => {
    const name = await submitted();
    await deadLetter(name);
    expect(await billed(name, 1)).toMatchObject({ promptTokens: 0, costNano: 0 });
  });

  it("is told until it has heard, but for whose it was, of a job that was deleted and lost its memory", async () => {
    const name = await submitted({ user: "ada" });
    ledgers.broken = true;
    await completed(name, "Because.");
    await job(name).delete();
    await evictDurableObject(objectOf(name));
    await wakeWhenDue(name);
    expect(ledgers.billsOf(name)).toEqual([]);
    ledgers.broken = false;
    await wakeWhenDue(name);
    const bill = await billed(name, 1);
    expect(bill).toMatchObject({ ...ONE_CALL, costNano: nanoOf(COST) });
    expect(bill).not.toHaveProperty("user");
  });
});

describe("a job that is asked by its account", () => {
  it("tells that it is open, then what it came to, purged or not", async () => {
    const name = newName();
    const spec = specOf();
    expect(await job(name).bill(spec.uid)).toEqual({ type: "unknown" });
    await job(name).submit(spec, REQUEST);
    expect(await job(name).bill(spec.uid)).toEqual({ type: "open" });
    expect(await job(name).bill("another")).toEqual({ type: "unknown" });
    await completed(name, "Because.");
    expect(await job(name).bill(spec.uid)).toMatchObject({
      type: "ended",
      bill: { costNano: nanoOf(COST) },
    });
    await job(name).delete();
    expect(await job(name).bill(spec.uid)).toMatchObject({
      type: "ended",
      bill: { costNano: nanoOf(COST) },
    });
  });

  it("by whoever submits again says what that would be answered, and makes nothing", async () => {
    const name = newName();
    const spec = specOf();
    expect(await job(name).recall(spec)).toBeNull();
    expect(await job(name).glance()).toEqual({ type: "unknown" });
    await job(name).submit(spec, REQUEST);
    expect(await job(name).recall(spec)).toMatchObject({
      type: "replayed",
      view: { job_id: spec.id },
    });
    expect(await job(name).recall({ ...spec, fingerprint: "another" })).toEqual({ type: "reused" });
    await job(name).delete();
    expect(await job(name).recall(spec)).toEqual({ type: "gone" });
  });
});

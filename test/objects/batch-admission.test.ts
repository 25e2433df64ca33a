import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { itemId, itemUid } from "../../src/domain/batch.ts";
import type { BatchItems } from "../../src/domain/batch-items.ts";
import { nanoOf } from "../../src/domain/money.ts";
import { NO_LIMITS, type TenantLimits } from "../../src/domain/tenant.ts";
import { accountName, batchName, objectName } from "../../src/ids.ts";
import type { AccountRpc } from "../../src/ledgers/account-rpc.ts";
import { accountOf } from "../../src/ledgers/account-stub.ts";
import { batchOf } from "../../src/ledgers/batch-stub.ts";
import type { BatchAccepted } from "../../src/schema/batch.ts";
import type { Problem } from "../../src/schema/error.ts";
import { batchSpecOf, toldBy } from "../domain/batch-fixtures.ts";
import { holdClock, newName, passTime } from "./support.ts";
import { request, submission } from "./worker-side.ts";

holdClock({ ledgersToo: false });

/** Costs at most a little more than a cent. */
const SHARED = { model: "gpt-4o", params: { max_tokens: 1_000 } };

/** The Worker's environment with these settings, and an account that no other test has. */
function limited(settings: Record<string, string>): Env {
  const accounts = newName();
  const getByName = (name: string): AccountRpc => env.ACCOUNTS.getByName(`${accounts}-${name}`);
  const open = { ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none", ACCOUNTS: { getByName } };
  return { ...open, ...settings } as unknown as Env;
}

function send(env: Env, items: number, key = newName()): Promise<Response> {
  const requests = Array.from({ length: items }, () => ({ prompt: "Why?", max_attempts: 1 }));
  return request(env, "/api/batches", submission(key, { requests, ...SHARED }));
}

async function refused(response: Response): Promise<[number, string]> {
  const { status, code } = await response.json<Problem>();
  return [status, code];
}

describe("a batch", () => {
  it("that does not fit the budget is refused whole, and nothing stays reserved for it", async () => {
    const env = limited({ DAY_BUDGET_USD: "0.025" });
    const three = await send(env, 3);
    const { status, code, detail } = await three.json<Problem>();
    expect([status, code]).toEqual([402, "budget-exceeded"]);
    expect(detail).toMatch(/and this batch may cost \$0\.03\d+$/);
    expect((await send(env, 2)).status).toBe(202);
    expect(await refused(await send(env, 1))).toEqual([402, "budget-exceeded"]);
  });

  it("counts with all its items as queued, and as one submission, also to an account that slept", async () => {
    const settings = { MAX_QUEUED_JOBS: "10", SUBMITS_PER_MINUTE: "3" };
    const accounts = newName();
    const name = `${accounts}-${await accountName("dev")}`;
    const getByName = (): AccountRpc => env.ACCOUNTS.getByName(name);
    const open = { ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none", ACCOUNTS: { getByName } };
    const worker = { ...open, ...settings } as unknown as Env;
    const first = await send(worker, 8);
    expect(first.headers.get("ratelimit")).toBe('"submit";r=2;t=60, "queued";r=2');
    expect(await refused(await send(worker, 3))).toEqual([429, "too-many-requests"]);
    await evictDurableObject(env.ACCOUNTS.getByName(name));
    const second = await send(worker, 1);
    expect(second.headers.get("ratelimit")).toBe('"submit";r=1;t=60, "queued";r=1');
  });

  it("is let in exactly as often as the budget holds it, of many at once", async () => {
    const env = limited({ DAY_BUDGET_USD: "0.1" });
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(env, 3)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(3);
    expect(statuses.filter((status) => status === 402)).toHaveLength(5);
  });

  it("that is repeated is neither refused nor charged", async () => {
    const env = limited({ DAY_BUDGET_USD: "0.05", SUBMITS_PER_MINUTE: "2", MAX_QUEUED_JOBS: "4" });
    const key = newName();
    expect((await send(env, 2, key)).status).toBe(202);
    for (const _again of [1, 2, 3]) expect((await send(env, 2, key)).status).toBe(200);
    expect((await send(env, 2)).status).toBe(202);
    expect((await send(env, 2)).status).toBe(429);
    expect((await send(env, 2, key)).status).toBe(200);
    expect((await send(env, 3, key)).status).toBe(422);
  });
});

describe("what failed in a batch of a tenant that had no limits then", () => {
  it("is tried again within those that it has now", async () => {
    const accepted = await send(limited({}), 1);
    const { batch_id, job_ids } = await accepted.json<BatchAccepted>();
    const [jobId = ""] = job_ids;
    const uid = jobId.replace("job_", "");
    const failed = toldBy(0, "failed", { batchUid: uid.replace(/_0$/, ""), jobId, uid });
    await (await batchOf(env, "dev", batch_id)).hear(failed);
    const retry = (settings: Record<string, string>) =>
      request(limited(settings), `/api/batches/${batch_id}/retry-failed`, { method: "POST" });
    expect(await refused(await retry({ DAY_BUDGET_USD: "0.001" }))).toEqual([
      402,
      "budget-exceeded",
    ]);
    expect((await retry({ DAY_BUDGET_USD: "1" })).status).toBe(202);
  });
});

const DOLLAR: TenantLimits = { ...NO_LIMITS, dayBudgetUsd: 100 };

/** A batch of a tenant that no other test has, with a dollar reserved for each item. */
async function reservedBatch(total: number) {
  const [tenant, id] = [newName(), newName()];
  const spec = batchSpecOf({ tenant, id, total, uid: newName(), submittedAt: Date.now() });
  const account = await accountOf(env, tenant);
  const jobs = Array.from({ length: total }, async (_, index) => ({
    uid: itemUid(spec, index),
    job: await objectName(tenant, itemId(spec, index)),
    model: "gpt-4o",
    user: null,
    reserveNano: nanoOf(1),
  }));
  const { uid: submission, submittedAt } = spec;
  const asked = { limits: DOLLAR, submission, submittedAt, jobs: await Promise.all(jobs) };
  expect(await account.admitAll(asked)).toMatchObject({ type: "admitted" });
  const items: BatchItems = {
    defaults: { model: "simulator/standard" },
    items: Array.from({ length: total }, () => ({ request: { prompt: "Why?" } })),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(items));
  const worstNano = Array.from({ length: total }, () => nanoOf(1));
  await (await batchOf(env, tenant, id)).submit(spec, { items: bytes, customIds: null, worstNano });
  const batch = () => batchOf(env, tenant, id);
  const carryOn = async () =>
    runDurableObjectAlarm(env.BATCHES.getByName(await batchName(tenant, id)));
  const reserved = async () => (await account.balance(DOLLAR)).spent.day.reservedNano / nanoOf(1);
  return { spec, tenant, batch, carryOn, reserved };
}

describe("what is reserved for a batch", () => {
  it("is free again for the items that never became jobs", async () => {
    const { tenant, batch, reserved } = await reservedBatch(60);
    expect(await reserved()).toBe(60);
    await (await batch()).cancel(tenant);
    await expect.poll(reserved).toBe(50);
  });

  it("is reserved anew for what is tried again, all of it or nothing", async () => {
    const { spec, tenant, batch, reserved } = await reservedBatch(2);
    const stub = await batch();
    const failed = [0, 1].map((index) =>
      toldBy(index, "failed", {
        batchUid: spec.uid,
        jobId: itemId(spec, index),
        uid: itemUid(spec, index),
      }),
    );
    await Promise.all(failed.map((told) => stub.hear(told)));
    const retry = (dayBudgetUsd: number) =>
      stub.retryFailed({ limits: { ...NO_LIMITS, dayBudgetUsd }, tier: "pro" }, tenant);
    // Their first jobs never told the account, so both dollars are still reserved.
    const little = await retry(3.5);
    expect(little).toMatchObject({
      value: { type: "refused", refusal: { type: "budget" }, worstNano: nanoOf(2) },
    });
    expect(await reserved()).toBe(2);
    passTime(1);
    const answers = await Promise.all([retry(4), retry(4)]);
    expect(answers.map((answer) => (answer.type === "found" ? answer.value : null))).toMatchObject([
      { type: "retried", retried: 2 },
      { type: "retried", retried: 0 },
    ]);
    expect(await reserved()).toBe(4);
  });

  it("is free again where an item cannot be tried again", async () => {
    const { spec, tenant, batch, carryOn, reserved } = await reservedBatch(1);
    const stub = await batch();
    const told = { batchUid: spec.uid, jobId: itemId(spec, 0), uid: itemUid(spec, 0) };
    await stub.hear(toldBy(0, "failed", told));
    await stub.retryFailed({ limits: DOLLAR, tier: "pro" }, tenant);
    expect(await reserved()).toBe(2);
    // Its job is not there, so there is nothing to make a new one of.
    await carryOn();
    await expect.poll(reserved).toBe(1);
    const view = await stub.read(tenant);
    expect(view).toMatchObject({ value: { status: "completed", status_counts: { cancelled: 1 } } });
  });
});

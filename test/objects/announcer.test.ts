import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";

import type { JobSpec } from "../../src/domain/job.ts";
import { ledgers } from "./ledgers.ts";
import {
  completed,
  deadLetter,
  holdClock,
  job,
  leased,
  logged,
  newName,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  REPORT,
  REQUEST,
  specOf,
  stored,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

/** Submits a job whose id is its object's name, so that the ledgers' entries can be told apart. */
async function submitted(overrides: Partial<JobSpec> = {}): Promise<string> {
  const name = newName();
  await job(name).submit(specOf({ id: name, ...overrides }), REQUEST);
  return name;
}

/** Waits for the ledgers to have heard so much of a job; they are told behind its answers' backs. */
function told(name: string, statuses: string[]): Promise<void> {
  return vi.waitFor(() => expect(ledgers.of(name)).toEqual(statuses));
}

describe("the ledgers", () => {
  it("are told of a job as it is accepted, as it ends and as it is purged, and never in between", async () => {
    const name = await submitted({ retentionMs: 60_000 });
    await told(name, ["open"]);
    const first = await leased(name);
    await job(name).append(first.token, partOf(0, "Half an ans"));
    await job(name).fail(first.token, OUTAGE, REPORT);
    passTime(10_000);
    expect(ledgers.of(name)).toEqual(["open"]);
    await completed(name, "Because.");
    await told(name, ["open", "completed"]);
    passTime(60_000);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
    await told(name, ["open", "completed", "gone"]);
    await wakeWhenDue(name);
    expect(ledgers.of(name)).toHaveLength(3);
  });

  it("hear a job's entries in their order, however slow the first of them", async () => {
    ledgers.delaysMs.push(30, 20, 0);
    const name = await submitted();
    await job(name).cancel("enough");
    await job(name).delete();
    await told(name, ["open", "cancelled", "gone"]);
  });

  it("are told again by a job that has lost its memory, for it cannot know", async () => {
    const name = await submitted();
    await told(name, ["open"]);
    await evictDurableObject(objectOf(name));
    await wakeWhenDue(name);
    await told(name, ["open", "open"]);
  });

  it("that are down fail no job, and hear of it by its alarm (invariant 2)", async () => {
    ledgers.broken = true;
    const name = await submitted();
    await completed(name, "Because.");
    expect(await view(name)).toMatchObject({ status: "completed" });
    expect(ledgers.of(name)).toEqual([]);
    await vi.waitFor(() => expect(logged.join("\n")).toContain("ledger.unreachable"));
    ledgers.broken = false;
    while (ledgers.of(name).length === 0) await wakeWhenDue(name);
    await told(name, ["completed"]);
  });

  it("that are down are not asked anew with every part of a text", async () => {
    ledgers.broken = true;
    const name = await submitted();
    const { token } = await leased(name);
    await vi.waitFor(() => expect(logged.join("\n")).toContain(name));
    const { calls } = ledgers;
    for (let part = 0; part < 20; part++) {
      await job(name).append(token, partOf(part, "word "));
      passTime(50);
    }
    expect(ledgers.calls).toBe(calls);
  });

  it("forget a deleted job, and its dead letter with it", async () => {
    const name = await submitted();
    await deadLetter(name);
    const { dlq_id = "" } = await view(name);
    await job(name).delete();
    await told(name, ["open", "failed", "gone"]);
    await vi.waitFor(() => expect(ledgers.removed).toContain(dlq_id));
  });

  it("keep the dead letter of a job that time has purged", async () => {
    const uid = crypto.randomUUID();
    const name = await submitted({ uid, failedRetentionMs: 1_000 });
    await deadLetter(name);
    passTime(1_000);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
    await told(name, ["open", "failed", "gone"]);
    expect(ledgers.removed).not.toContain(`dlq_${uid}`);
  });

  it("that are down as a job is deleted forget it later, though it has lost its memory", async () => {
    const uid = crypto.randomUUID();
    const name = await submitted({ uid });
    await deadLetter(name);
    await told(name, ["open", "failed"]);
    ledgers.broken = true;
    await job(name).delete();
    expect(await job(name).read(false)).toEqual({ type: "gone" });
    await evictDurableObject(objectOf(name));
    ledgers.broken = false;
    await wakeWhenDue(name);
    await told(name, ["open", "failed", "gone"]);
    await vi.waitFor(() => expect(ledgers.removed).toContain(`dlq_${uid}`));
  });

  it("that are down as a job is forgotten keep its name until they have heard, and no content", async () => {
    const uid = crypto.randomUUID();
    const name = await submitted({ uid, keyExpiresAt: Date.now() });
    await deadLetter(name);
    await told(name, ["open", "failed"]);
    ledgers.broken = true;
    await job(name).delete();
    expect(await job(name).read(true)).toEqual({ type: "unknown" });
    await vi.waitFor(async () =>
      expect((await stored(name)).rows).toMatchObject([
        [expect.any(String), { job: { status: "purged" } }],
      ]),
    );
    await evictDurableObject(objectOf(name));
    ledgers.broken = false;
    await wakeWhenDue(name);
    await told(name, ["open", "failed", "gone"]);
    await vi.waitFor(() => expect(ledgers.removed).toContain(`dlq_${uid}`));
    await vi.waitFor(async () =>
      expect(await stored(name)).toMatchObject({ rows: [], alarm: null }),
    );
  });

  it("hear the cost of a call that was estimated, once it is known", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).cancel("enough");
    await told(name, ["open", "cancelled"]);
    await job(name).account(token, REPORT);
    await told(name, ["open", "cancelled", "cancelled"]);
  });

  it("hear once more from a job that has lost its memory, which then sleeps until its retention ends", async () => {
    const name = await submitted();
    await completed(name);
    await told(name, ["open", "completed"]);
    await evictDurableObject(objectOf(name));
    await wakeWhenDue(name);
    await told(name, ["open", "completed", "completed"]);
    const { retained_until = "" } = await view(name);
    expect((await stored(name)).alarm).toBe(Date.parse(retained_until));
  });
});

import { describe, expect, it } from "vitest";

import type { AttemptView } from "../../src/schema/job.ts";
import { Ledger, letterOf, lettersOf } from "./letters.ts";
import { DAY_MS, holdClock, passTime } from "./support.ts";

holdClock({ ledgersToo: false });

const ATTEMPT: AttemptView = {
  attempt: 1,
  model: "gpt-4o",
  provider: "openai",
  status: "failed",
  started_at: "2026-11-01T12:00:00.000Z",
  ended_at: "2026-11-01T12:00:01.000Z",
  usage: null,
  cost_usd: null,
  error: "The provider is unavailable (HTTP 503)",
  error_code: "provider_unavailable",
  timings: { ttft_ms: null, provider_ms: 1_000 },
};

describe("a letter", () => {
  it("is kept whole, whatever its size, and over an eviction", async () => {
    const ledger = new Ledger();
    const prompts = ["short", "x".repeat(2_500_000), "größer 💡".repeat(120_000)];
    const letters = prompts.map((prompt) =>
      letterOf({ request: { prompt, metadata: { a: "b" } }, attempts: [ATTEMPT] }),
    );
    await ledger.desk.add(letters);
    await ledger.evict();
    for (const letter of letters) {
      const kept = await ledger.desk.read(letter.dlqId);
      expect(kept).toMatchObject({
        ...letter,
        fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      });
    }
  });

  it("that comes twice, or twice in one call, is there once", async () => {
    const ledger = new Ledger();
    const [first, second] = [letterOf(), letterOf()];
    await ledger.desk.add([first, first, second]);
    await ledger.desk.add([second, first]);
    expect((await ledger.all()).map(({ dlqId }) => dlqId).toSorted()).toEqual(
      [first.dlqId, second.dlqId].toSorted(),
    );
  });

  it.each([
    ["was sent again", (ledger: Ledger, dlqId: string) => ledger.desk.retry(dlqId)],
    ["was discarded", (ledger: Ledger, dlqId: string) => ledger.desk.discard(dlqId)],
    [
      "belongs to a job that was deleted",
      (ledger: Ledger, dlqId: string) => ledger.desk.remove(dlqId),
    ],
  ])(
    "that %s is not brought back by a late message, until a week has passed",
    async (_, handle) => {
      const ledger = new Ledger();
      const letter = letterOf();
      await ledger.desk.add([letter]);
      await handle(ledger, letter.dlqId);
      await ledger.desk.add([letter]);
      expect(await ledger.depth()).toBe(0);
      await ledger.evict();
      passTime(6 * DAY_MS);
      await ledger.desk.add([letter]);
      expect(await ledger.depth()).toBe(0);
      await ledger.wake();
      const left = await ledger.inside((_object, { sql }) => [
        ...sql.exec("SELECT * FROM handled_letter"),
        ...sql.exec("SELECT * FROM letter_content"),
      ]);
      expect(left).toEqual([]);
      expect(await ledger.alarmAt()).toBeNull();
    },
  );

  it("whose job was deleted leaves nothing of it, even if it comes later or was sent again", async () => {
    const ledger = new Ledger();
    const [before, after, retried] = ["before", "after", "retried"].map((canary) =>
      letterOf({ jobId: `canary-${canary}`, request: { prompt: "canary" } }),
    );
    if (before === undefined || after === undefined || retried === undefined) throw new Error();
    await ledger.desk.add([before, retried]);
    await ledger.desk.retry(retried.dlqId);
    for (const { dlqId } of [before, after, retried]) await ledger.desk.remove(dlqId);
    await ledger.desk.add([after]);
    expect(await ledger.depth()).toBe(0);
    expect(await ledger.desk.retry(retried.dlqId)).toEqual({ type: "unknown" });
    const kept = await ledger.inside((_, { sql }) =>
      ["letter", "letter_content", "handled_letter"].map((table) =>
        sql.exec(`SELECT * FROM ${table}`).toArray(),
      ),
    );
    expect(JSON.stringify(kept)).not.toContain("canary");
  });

  it("that cannot be stored takes none of its call with it, and the next call stores all", async () => {
    const ledger = new Ledger();
    const letters = lettersOf(3);
    const broken = letters.map((letter, at) => (at === 2 ? { ...letter, tenant: null } : letter));
    const added = await ledger.inside((object) => {
      try {
        return object.add(broken as typeof letters);
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(added).toContain("NOT NULL");
    expect(await ledger.depth()).toBe(0);
    await ledger.desk.add(letters);
    expect(await ledger.depth()).toBe(3);
  });
});

describe("the list", () => {
  it("is newest failure first, in pages that hold each letter once", async () => {
    const ledger = new Ledger();
    const now = Date.now();
    // Many failed in the same millisecond.
    const letters = Array.from({ length: 25 }, (_, at) => letterOf({ failedAt: now + (at % 4) }));
    await ledger.desk.add(letters);
    for (const limit of [1, 7, 25, 200]) {
      const listed = await ledger.all({}, limit);
      expect(new Set(listed.map(({ dlqId }) => dlqId)).size).toBe(25);
      expect(listed.map(({ failedAt }) => failedAt)).toEqual(
        letters.map(({ failedAt }) => failedAt).toSorted((a, b) => b - a),
      );
    }
  });

  it("goes on where it was while letters come and go", async () => {
    const ledger = new Ledger();
    const now = Date.now();
    const letters = Array.from({ length: 9 }, (_, at) => letterOf({ failedAt: now - at }));
    await ledger.desk.add(letters);
    const first = await ledger.desk.list({}, null, 3);
    // One newer, one just behind the place, and the very letter at the place goes.
    const late = letterOf({ failedAt: now - 2 });
    await ledger.desk.add([letterOf({ failedAt: now + 1 }), late]);
    await ledger.desk.discard(letters[2]?.dlqId ?? "");
    await ledger.desk.discard(letters[4]?.dlqId ?? "");
    const second = await ledger.desk.list({}, first.next, 3);
    const expected = [letters[3], letters[5], letters[6]].map((letter) => letter?.dlqId);
    expect(second.letters.map(({ dlqId }) => dlqId)).toEqual(expected);
    expect(second.total).toBe(9);
  });

  it("and the groups know every filter, alone and together", async () => {
    const ledger = new Ledger();
    const now = Date.now();
    const letters = [
      letterOf({ tenant: "a", model: "m1", errorCode: "timeout", error: "t", failedAt: now }),
      letterOf({ tenant: "a", model: "m2", failedAt: now + 1 }),
      letterOf({ tenant: "b", model: "m1", failedAt: now + 2 }),
      letterOf({ tenant: "b", model: "m2", failedAt: now + 3 }),
    ];
    await ledger.desk.add(letters);
    const [timeout] = await ledger.all({ errorCode: "timeout" });
    const cases = [
      [{}, [3, 2, 1, 0]],
      [{ errorCode: "timeout" }, [0]],
      [{ tenant: "a" }, [1, 0]],
      [{ model: "m2" }, [3, 1]],
      [{ tenant: "b", model: "m2" }, [3]],
      [{ fingerprint: timeout?.fingerprint ?? "" }, [0]],
      [{ failedBefore: now + 1 }, [0]],
      [{ tenant: "nobody" }, []],
      [{ tenant: "' OR 1 = 1 --" }, []],
    ] as const;
    for (const [filter, places] of cases) {
      const page = await ledger.desk.list(filter, null, 10);
      expect(page.letters.map(({ dlqId }) => dlqId)).toEqual(
        places.map((at) => letters[at]?.dlqId),
      );
      expect(page).toMatchObject({ total: places.length, next: null });
      const groups = await ledger.desk.groups(filter);
      expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(places.length);
    }
  });

  it("of groups is largest first and says whom and what they concern", async () => {
    const ledger = new Ledger();
    const now = Date.now();
    const outage = Array.from({ length: 5 }, (_, at) =>
      letterOf({ tenant: `t${at % 2}`, model: `m${at % 3}`, failedAt: now + at }),
    );
    const filtered = letterOf({ errorCode: "content_filter", error: "Stopped" });
    await ledger.desk.add([filtered, ...outage]);
    const groups = await ledger.desk.groups({});
    expect(groups).toMatchObject([
      {
        errorCode: "provider_unavailable",
        error: "The provider is unavailable (HTTP 503)",
        provider: "openai",
        count: 5,
        models: ["m0", "m1", "m2"],
        tenants: 2,
        firstFailedAt: now,
        lastFailedAt: now + 4,
        sampleDlqIds: [outage[4]?.dlqId, outage[3]?.dlqId, outage[2]?.dlqId],
      },
      { errorCode: "content_filter", count: 1, sampleDlqIds: [filtered.dlqId] },
    ]);
  });
});

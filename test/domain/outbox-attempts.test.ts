import { describe, expect, it } from "vitest";

import {
  attempted,
  deliveryView,
  hasComeDue,
  lastGivenUpAt,
  nextDelivery,
  outboxRingsAt,
  replayed,
  rungOutbox,
  type Outbox,
} from "../../src/domain/outbox.ts";
import { BROKEN, DAY, DELIVERED, frozen, GONE, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";
import {
  deliveryOf,
  dueIn,
  ENDED,
  failing,
  idOf,
  owing,
  statuses,
  tried,
} from "./outbox-fixtures.ts";

describe("an end that cannot be delivered", () => {
  it("invariant 7: is tried twelve times, over three days, and then given up", () => {
    const waits = [1, 2, 4, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (const [made, wait] of waits.entries()) {
      const { outbox, at } = failing(made + 1);
      expect(dueIn(outbox, 3)).toBe(at - NOW + wait * SECOND);
      expect(outboxRingsAt(outbox)).toBe(at + wait * SECOND);
    }
    const { outbox, at } = failing(12);
    expect(statuses(outbox)).toEqual({ 3: "failed" });
    expect(nextDelivery(outbox, at + 30 * DAY)).toBeNull();
    expect(outboxRingsAt(outbox)).toBe(Infinity);
  });

  it("was given up with its latest attempt, though an older one is told late", () => {
    const { outbox, at } = failing(12);
    const late = tried(outbox, 3, { ...BROKEN, latencyMs: MINUTE }, at + SECOND, "thought-dead");
    expect(lastGivenUpAt(late)).toBe(at);
  });

  it("is tried no sooner than its receiver asks", () => {
    const busy = { ...BROKEN, status: 429, retryAfterMs: 90 * SECOND };
    expect(dueIn(tried(ENDED, 3, busy, NOW), 3)).toBe(99 * SECOND);
    expect(dueIn(tried(failing(4).outbox, 3, busy, NOW + HOUR), 3)).toBe(HOUR + 30 * MINUTE);
    const forEver = { ...busy, retryAfterMs: 90 * DAY };
    expect(dueIn(tried(ENDED, 3, forEver, NOW), 3)).toBe(DAY);
  });

  it("is tried no sooner than that though an older attempt is told late", () => {
    const busy = { ...BROKEN, status: 429, retryAfterMs: 90 * SECOND };
    const late = tried(tried(ENDED, 3, busy, NOW), 3, BROKEN, NOW + SECOND, "thought-dead");
    expect(dueIn(late, 3)).toBe(99 * SECOND);
    expect(outboxRingsAt(late)).toBe(NOW + 99 * SECOND);
  });

  it("is over with 410, and so is all else that is owed, now and later", () => {
    const start = owing([], [["started", 2]]);
    const more = owing(start, [["progress", 3]]);
    const gone = tried(more, 2, GONE, NOW + 30);
    expect(statuses(gone)).toEqual({ 2: "gone", 3: "gone" });
    expect(outboxRingsAt(gone)).toBe(Infinity);
    const ended = owing(gone, [["completed", 5]], NOW + MINUTE);
    expect(statuses(ended)).toEqual({ 2: "gone", 3: "gone", 5: "gone" });
    expect(hasComeDue(gone, ended, NOW + MINUTE)).toBe(false);
  });

  it("is over though 410 was said of what it had overtaken", () => {
    const overtaken = owing(owing([], [["progress", 3]]), [["completed", 4]], NOW + 10);
    expect(statuses(tried(overtaken, 3, GONE, NOW + 30))).toEqual({ 3: "superseded", 4: "gone" });
  });

  it("is owed again by a receiver that has since taken a replay", () => {
    const gone = tried(owing([], [["started", 2]]), 2, GONE, NOW + 30);
    const back = tried(replayed(gone, idOf(2), NOW + MINUTE), 2, DELIVERED, NOW + MINUTE + 30);
    expect(statuses(owing(back, [["completed", 5]], NOW + HOUR))).toMatchObject({ 5: "pending" });
  });
});

describe("an outcome", () => {
  it.each([DELIVERED, BROKEN, GONE])("told twice is counted once: $type", (outcome) => {
    const once = tried(ENDED, 3, outcome, NOW, "pass");
    expect(tried(once, 3, outcome, NOW + SECOND, "pass")).toBe(once);
    expect(deliveryOf(once, 3)).toMatchObject({ tries: 1, attempts: [{ token: "pass" }] });
  });

  it("says when its attempt began, and all that is known of its answer", () => {
    const once = tried(ENDED, 3, { ...BROKEN, latencyMs: 130, retryAfterMs: 5 }, NOW + 200, "p");
    const { type, status, error, answer } = BROKEN;
    const attempt = { token: "p", at: NOW + 70, type, status, error, answer, latencyMs: 130 };
    expect(deliveryOf(once, 3).attempts).toEqual([attempt]);
  });

  it.each<[string, Outbox, typeof BROKEN, string]>([
    ["a delivered one failed", tried(ENDED, 3, DELIVERED, NOW), BROKEN, "delivered"],
    ["a delivered one is gone", tried(ENDED, 3, DELIVERED, NOW), GONE, "delivered"],
    ["a failed one failed", failing(12).outbox, BROKEN, "failed"],
    ["a failed one was delivered", failing(12).outbox, DELIVERED, "delivered"],
    ["a gone one failed", tried(ENDED, 3, GONE, NOW), BROKEN, "gone"],
    ["a gone one was delivered", tried(ENDED, 3, GONE, NOW), DELIVERED, "delivered"],
  ])("that comes late, that %s, is kept and leaves it settled", (_, outbox, outcome, status) => {
    const made = deliveryOf(outbox, 3).attempts.length;
    const late = tried(frozen(outbox), 3, outcome, NOW + 30 * DAY);
    expect(deliveryOf(late, 3)).toMatchObject({ status });
    expect(deliveryOf(late, 3).attempts).toHaveLength(made + 1);
    expect(outboxRingsAt(late)).toBe(Infinity);
  });
});

describe("the doorbell of deliveries", () => {
  it("rings again when its message may have been lost, ever more rarely, and for ever", () => {
    let outbox = ENDED;
    for (const seconds of [30, 60, 120, 240, 480, 900, 900, 900]) {
      const at = outboxRingsAt(outbox);
      expect(rungOutbox(outbox, at - 1)).toBe(outbox);
      const before = deliveryOf(outbox, 3);
      if (outbox === ENDED) expect(at).toBe(NOW + 30 * SECOND);
      outbox = rungOutbox(outbox, at);
      expect(outboxRingsAt(outbox) - at).toBe(Math.min(900, 2 * seconds) * SECOND);
      expect(deliveryOf(outbox, 3)).toMatchObject({ id: before.id, tries: 0, status: "pending" });
    }
  });

  it("rings for what is in its turn only, and at once for what has come to be", () => {
    const both = owing(owing([], [["started", 2]]), [["completed", 5]]);
    const waiting = tried(both, 2, { ...BROKEN, retryAfterMs: 4 * SECOND }, NOW);
    expect(outboxRingsAt(waiting)).toBe(NOW + 4.4 * SECOND);
    const told = tried(waiting, 2, DELIVERED, NOW + MINUTE);
    expect(outboxRingsAt(told)).toBeLessThan(NOW + MINUTE);
  });
});

describe("a replay", () => {
  const settled: [string, Outbox][] = [
    ["delivered", tried(ENDED, 3, DELIVERED, NOW)],
    ["failed", failing(12).outbox],
    ["gone", tried(ENDED, 3, GONE, NOW)],
    ["pending", failing(6).outbox],
  ];

  it.each(settled)("of a delivery that is %s is due at once, under the same id", (_, outbox) => {
    const at = NOW + 5 * DAY;
    const again = replayed(frozen(outbox), idOf(3), at);
    expect(nextDelivery(again, at)?.id).toBe(idOf(3));
    expect(outboxRingsAt(again)).toBe(at + 30 * SECOND);
    expect(deliveryOf(again, 3).attempts).toEqual(deliveryOf(outbox, 3).attempts);
  });

  it.each(settled)("of a delivery that is %s has the whole schedule", (_, outbox) => {
    const again = failing(11, replayed(outbox, idOf(3), NOW + 5 * DAY));
    expect(statuses(again.outbox)).toEqual({ 3: "pending" });
    expect(statuses(failing(1, again.outbox).outbox)).toEqual({ 3: "failed" });
  });

  it("of what was never delivered keeps its place behind what comes before it", () => {
    const both = owing(owing([], [["started", 2]]), [["completed", 5]]);
    const again = replayed(both, idOf(5), NOW + SECOND);
    expect(nextDelivery(again, NOW + SECOND)?.seq).toBe(2);
    expect(statuses(tried(again, 2, GONE, NOW + SECOND))).toEqual({ 2: "gone", 5: "gone" });
  });

  it("of progress goes out though newer has been told", () => {
    const ended = owing(owing([], [["progress", 3]]), [["completed", 4]]);
    const again = replayed(tried(ended, 4, DELIVERED, NOW), idOf(3), NOW + MINUTE);
    expect(nextDelivery(again, NOW + MINUTE)?.seq).toBe(3);
    expect(statuses(tried(again, 3, DELIVERED, NOW + MINUTE))).toEqual({
      3: "delivered",
      4: "delivered",
    });
  });
});

describe("what is kept", () => {
  it("is the latest 15 attempts of a delivery", () => {
    const outbox = failing(8, replayed(failing(12).outbox, idOf(3), NOW + 5 * DAY)).outbox;
    const { attempts } = deliveryOf(outbox, 3);
    expect(attempts).toHaveLength(15);
    expect(attempts.every(({ at }, index) => at > (attempts[index - 1]?.at ?? 0))).toBe(true);
  });

  it("is of each job the latest 200 deliveries, but all that are pending and its end", () => {
    let outbox = owing([], [["started", 1]]);
    for (let seq = 2; seq <= 300; seq++) {
      outbox = tried(owing(outbox, [["progress", seq]], NOW + seq * SECOND), seq, DELIVERED, NOW);
    }
    outbox = owing(outbox, [["completed", 301]], NOW + 301 * SECOND);
    expect(outbox).toHaveLength(200);
    expect(outbox[0]).toMatchObject({ seq: 1, status: "pending" });
    expect(outbox.slice(1).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 199 }, (_, at) => 103 + at),
    );
  });

  it("fits a row of 2 MB, however often its owner replays it and whatever is answered", () => {
    let outbox: Outbox = [];
    for (let seq = 1; seq <= 200; seq++) {
      outbox = tried(owing(outbox, [["progress", seq]], NOW + seq * SECOND), seq, DELIVERED, NOW);
    }
    const answer = "\u{fffd}".repeat(1_024);
    for (let round = 1, at = NOW + HOUR; round <= 15; round++) {
      for (const { id } of outbox) {
        const token = `${round}-${id}`;
        const outcome = { ...BROKEN, answer };
        const again = replayed(outbox, id, (at += SECOND));
        outbox = attempted(again, { deliveryId: id, token, outcome }, 0.5, at);
      }
    }
    const held = outbox.flatMap(({ attempts }) => attempts);
    expect(held).toHaveLength(400);
    const bytesInARow = held.length * 2 * JSON.stringify(held[0]).length;
    expect(bytesInARow).toBeLessThan(1_000_000);
    const oldest = held.reduce((one, other) => (other.at < one.at ? other : one));
    expect(oldest.token.startsWith("14-")).toBe(true);
  });
});

describe("a delivery's view", () => {
  it("tells each attempt and the next, and no token", () => {
    const outbox = tried(ENDED, 3, BROKEN, NOW + 30, "pass");
    expect(outbox.map(deliveryView)).toEqual([
      {
        delivery_id: idOf(3),
        event: "job.completed",
        status: "pending",
        created_at: "2026-11-22T12:00:00.000Z",
        next_attempt_at: "2026-11-22T12:00:01.030Z",
        attempts: [
          {
            at: "2026-11-22T12:00:00.000Z",
            outcome: "failed",
            status: 500,
            latency_ms: 30,
            error: "HTTP 500",
            answer: "Oops",
          },
        ],
      },
    ]);
    const settled = tried(ENDED, 3, DELIVERED, NOW).map(deliveryView);
    expect(settled).toMatchObject([{ status: "delivered", next_attempt_at: null }]);
  });
});

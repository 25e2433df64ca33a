import { describe, expect, it } from "vitest";

import {
  hasComeDue,
  nextDelivery,
  outboxRingsAt,
  owe,
  replayed,
  rungOutbox,
} from "../../src/domain/outbox.ts";
import { BROKEN, CURIOUS, DELIVERED, frozen, MINUTE, NOW, SECOND, WEBHOOK } from "./fixtures.ts";
import {
  dueIn,
  ENDED,
  eventOf,
  failing,
  idOf,
  owing,
  statuses,
  tried,
  UID,
  type EventType,
} from "./outbox-fixtures.ts";

describe("what a webhook is owed", () => {
  it.each<[string, [EventType, number][], typeof WEBHOOK | undefined, number[]]>([
    ["its end", [["completed", 3]], WEBHOOK, [3]],
    ["nothing it did not ask for", [["started", 2]], WEBHOOK, []],
    ["nothing without one", [["completed", 3]], undefined, []],
    ["no end it did not ask for", [["failed", 3]], { ...WEBHOOK, events: ["job.completed"] }, []],
    [
      "no text, and no queueing",
      [
        ["queued", 1],
        ["delta", 4],
      ],
      CURIOUS,
      [],
    ],
    [
      "a start and the progress it brings",
      [
        ["started", 2],
        ["progress", 3],
      ],
      CURIOUS,
      [2, 3],
    ],
    [
      "the latest progress of one write only",
      [
        ["progress", 2],
        ["progress", 3],
      ],
      CURIOUS,
      [3],
    ],
    [
      "no progress that ends at once",
      [
        ["progress", 5],
        ["completed", 6],
      ],
      CURIOUS,
      [6],
    ],
  ])("is %s", (_, told, webhook, owed) => {
    const events = told.map(([type, seq]) => eventOf(type, seq));
    const job = webhook === undefined ? { uid: UID } : { uid: UID, webhook };
    const outbox = owe(frozen([]), frozen(job), frozen(events), NOW);
    expect(outbox.map(({ seq }) => seq)).toEqual(owed);
  });

  it("is the very same outbox where nothing is asked for, so that no row is written for it", () => {
    expect(owing(ENDED, [["delta", 4]])).toBe(ENDED);
    expect(owe(ENDED, { uid: UID }, [eventOf("completed", 4)], NOW)).toBe(ENDED);
    expect(rungOutbox(ENDED, NOW)).toBe(ENDED);
    expect(replayed(ENDED, idOf(9), NOW)).toBe(ENDED);
    expect(tried(ENDED, 9, DELIVERED, NOW)).toBe(ENDED);
  });

  it("is due at once, under an id of its job's and its event's without a dot", () => {
    const [delivery] = ENDED;
    expect(delivery).toMatchObject({ id: `msg_${UID}_3`, event: "job.completed", tries: 0 });
    expect(delivery?.id).not.toContain(".");
    expect(nextDelivery(ENDED, NOW)).toBe(delivery);
    expect(hasComeDue([], ENDED, NOW)).toBe(true);
  });
});

describe("the order of deliveries", () => {
  const both = owing(owing([], [["started", 2]]), [["completed", 5]], NOW + SECOND);

  it("invariant 7: is that of their events: the end waits for the start", () => {
    expect(nextDelivery(both, NOW + MINUTE)?.seq).toBe(2);
    expect(hasComeDue(owing([], [["started", 2]]), both, NOW + SECOND)).toBe(false);
    const told = tried(both, 2, DELIVERED, NOW + SECOND);
    expect(nextDelivery(told, NOW + SECOND)?.seq).toBe(5);
    expect(hasComeDue(both, told, NOW + SECOND)).toBe(true);
  });

  it("holds while the first waits for its next try, and the alarm rings for that one", () => {
    const waiting = tried(both, 2, BROKEN, NOW + 2 * SECOND);
    expect(nextDelivery(waiting, NOW + 2 * SECOND)).toBeNull();
    expect(outboxRingsAt(waiting)).toBe(NOW + 3 * SECOND);
    expect(nextDelivery(waiting, NOW + 3 * SECOND)?.seq).toBe(2);
  });

  it("is none for what its owner asks for again: a replay waits for nobody, and nobody for it", () => {
    const delivered = tried(owing([], [["started", 2]]), 2, DELIVERED, NOW);
    const again = tried(replayed(delivered, idOf(2), NOW), 2, BROKEN, NOW, "again");
    const ended = owing(again, [["completed", 5]], NOW + 100);
    expect(nextDelivery(ended, NOW + 100)?.seq).toBe(5);
    expect(nextDelivery(ended, NOW + SECOND)?.seq).toBe(2);
    expect(outboxRingsAt(ended)).toBe(NOW + SECOND);
  });
});

describe("progress", () => {
  const first = owing([], [["progress", 3]]);
  const told = tried(first, 3, { ...DELIVERED, latencyMs: 100 }, NOW + 100);

  it("waits half a second after the attempt before it began", () => {
    const second = owing(told, [["progress", 4]], NOW + 200);
    expect(dueIn(second, 4)).toBe(500);
    expect(outboxRingsAt(second)).toBe(NOW + 500);
    expect(nextDelivery(second, NOW + 499)).toBeNull();
    expect(nextDelivery(second, NOW + 500)?.seq).toBe(4);
  });

  it("that comes later than that is due at once", () => {
    expect(dueIn(owing(told, [["progress", 4]], NOW + 700), 4)).toBe(700);
  });

  it("gives its turn to a later one, so that however fast it comes some of it goes out", () => {
    let outbox = told;
    for (let at = 150, seq = 4; at < 500; at += 50, seq++) {
      outbox = owing(outbox, [["progress", seq]], NOW + at);
      expect(dueIn(outbox, seq)).toBe(500);
    }
    expect(statuses(outbox)).toMatchObject({ 3: "delivered", 9: "superseded", 10: "pending" });
  });

  it("that came while the last was on its way keeps its distance to it", () => {
    const second = owing(first, [["progress", 4]], NOW + 50);
    const late = tried(second, 3, { ...DELIVERED, latencyMs: 60 }, NOW + 100);
    expect(dueIn(late, 4)).toBe(540);
    expect(outboxRingsAt(late)).toBe(NOW + 540);
  });

  describe("of which an older attempt is told late", () => {
    const latest = tried(first, 3, { ...BROKEN, latencyMs: 0 }, NOW + 15 * SECOND);
    const outcome = { ...BROKEN, latencyMs: 15 * SECOND + 10 };
    const late = tried(latest, 3, outcome, NOW + 15 * SECOND + 10, "thought-dead");

    it("keeps its distance to the latest when its owner asks for it again", () => {
      const again = replayed(late, idOf(3), NOW + 15 * SECOND + 20);
      expect(dueIn(again, 3)).toBe(15 * SECOND + 500);
    });

    it("keeps what comes then at its distance to the latest", () => {
      const newer = owing(late, [["progress", 4]], NOW + 15 * SECOND + 20);
      expect(dueIn(newer, 4)).toBe(15 * SECOND + 500);
    });
  });

  it("that failed waits for its next try no longer than until there is newer", () => {
    const failed = tried(first, 3, { ...BROKEN, latencyMs: 0 }, NOW);
    expect(dueIn(failed, 3)).toBe(SECOND);
    const newer = owing(failed, [["progress", 4]], NOW + 100);
    expect(statuses(newer)).toEqual({ 3: "superseded", 4: "pending" });
    expect(dueIn(newer, 4)).toBe(500);
  });

  it("makes way for the end at once", () => {
    const ended = owing(first, [["failed", 4]], NOW + 10);
    expect(statuses(ended)).toEqual({ 3: "superseded", 4: "pending" });
    expect(nextDelivery(ended, NOW + 10)?.seq).toBe(4);
    expect(hasComeDue(first, ended, NOW + 10)).toBe(true);
  });

  it("stays owed where a start follows it, which says nothing of it", () => {
    expect(statuses(owing(first, [["started", 4]]))).toEqual({ 3: "pending", 4: "pending" });
  });
});

describe("a start that cannot be delivered", () => {
  const start = owing([], [["started", 2]]);

  it("is tried on the whole schedule while nothing waits behind it", () => {
    const { outbox } = failing(5, start, 2);
    expect(statuses(outbox)).toEqual({ 2: "pending" });
  });

  it.each([1, 2, 3])("holds back the end after %d attempts", (times) => {
    const { outbox, at } = failing(times, start, 2);
    expect(statuses(owing(outbox, [["completed", 5]], at))).toEqual({ 2: "pending", 5: "pending" });
  });

  it("invariant 7: steps aside for the end with its fourth attempt, and later at once", () => {
    const waiting = owing(failing(3, start, 2).outbox, [["completed", 5]], NOW + 3_500);
    const aside = failing(1, waiting, 2);
    expect(statuses(aside.outbox)).toEqual({ 2: "superseded", 5: "pending" });
    expect(nextDelivery(aside.outbox, aside.at)?.seq).toBe(5);
    const spent = failing(6, start, 2);
    const ended = owing(spent.outbox, [["completed", 5]], spent.at);
    expect(statuses(ended)).toEqual({ 2: "superseded", 5: "pending" });
    expect(hasComeDue(spent.outbox, ended, spent.at)).toBe(true);
  });

  it("steps aside for the end where its receiver has asked for a long wait", () => {
    const busy = { ...BROKEN, status: 503, latencyMs: 0, retryAfterMs: 60 * SECOND };
    const waiting = tried(start, 2, busy, NOW);
    expect(statuses(waiting)).toEqual({ 2: "pending" });
    const ended = owing(waiting, [["completed", 5]], NOW + SECOND);
    expect(statuses(ended)).toEqual({ 2: "superseded", 5: "pending" });
    expect(nextDelivery(ended, NOW + SECOND)?.seq).toBe(5);
  });
});

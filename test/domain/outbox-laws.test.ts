import fc from "fast-check";
import { expect, it } from "vitest";

import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { outboxRingsAt } from "../../src/domain/outbox.ts";
import { BROKEN, DAY, DELIVERED, GONE, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";
import { law } from "./invariants.ts";
import type { EventType } from "./outbox-fixtures.ts";
import {
  begin,
  crash,
  happen,
  newOutboxWorld,
  replay,
  ring,
  tell,
  tellLate,
  type OutboxWorld,
} from "./outbox-world.ts";

type Act = (world: OutboxWorld) => void;

const BUSY: DeliveryOutcome = { ...BROKEN, status: 429, retryAfterMs: 90 * SECOND };

const outcome = fc.constantFrom(DELIVERED, DELIVERED, BROKEN, BROKEN, BROKEN, BUSY, GONE);
const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
/** Ends are rare: most of what can go wrong does before them. */
const writes = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom<EventType[]>(
      ["started", "progress"],
      ["progress"],
      ["progress"],
      ["progress", "progress"],
      ["delta"],
      ["started"],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<EventType[]>(
      ["progress", "progress", "completed"],
      ["failed"],
      ["cancelled"],
    ),
  },
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: writes.map(
      (types): Act =>
        (world) =>
          happen(world, types),
    ),
  },
  { weight: 8, arbitrary: fc.constant<Act>(begin) },
  {
    weight: 6,
    arbitrary: fc.tuple(outcome, jitter).map(
      ([told, dice]): Act =>
        (world) =>
          tell(world, told, dice),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Act>(crash) },
  {
    weight: 1,
    arbitrary: outcome.map(
      (told): Act =>
        (world) =>
          tellLate(world, told),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(20).map(
      (which): Act =>
        (world) =>
          replay(world, which),
    ),
  },
  { weight: 3, arbitrary: fc.constant<Act>(ring) },
  { weight: 4, arbitrary: fc.constant<Act>(nextRing) },
);

const pause = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 150 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 700 }) },
  { weight: 2, arbitrary: fc.integer({ min: SECOND, max: 40 * SECOND }) },
  { weight: 1, arbitrary: fc.integer({ min: MINUTE, max: 30 * HOUR }) },
);

const life = fc.array(fc.tuple(pause, act), { maxLength: 80, size: "max" });

/** Every message was lost: the alarm alone moves on. */
function nextRing(world: OutboxWorld): void {
  const at = outboxRingsAt(world.outbox);
  if (Number.isFinite(at)) world.now = Math.max(world.now, at);
  ring(world);
}

function lived(steps: [number, Act][]): OutboxWorld {
  const world = newOutboxWorld();
  for (const [after, befall] of steps) {
    world.now += after;
    befall(world);
  }
  crash(world);
  return world;
}

/** By its alarm alone, whoever comes then, until nothing is owed. */
function settleAll(world: OutboxWorld, answer: DeliveryOutcome): void {
  for (let rings = 0; Number.isFinite(outboxRingsAt(world.outbox)); rings++) {
    law(7, rings < 5_000, "what is owed is settled");
    nextRing(world);
    while (begin(world)) tell(world, answer);
  }
}

it("invariants 2 and 7 hold in every life of an outbox, and it is settled by its alarm alone", () => {
  fc.assert(
    fc.property(life, (steps) => {
      const hopeful = lived(steps);
      const owed = hopeful.outbox.filter(({ status }) => status === "pending");
      settleAll(hopeful, DELIVERED);
      for (const { id } of owed) {
        const now = hopeful.outbox.find((delivery) => delivery.id === id);
        // A start that is spent may have stepped aside before, but for what is still owed there is a receiver now.
        law(7, now?.status === "delivered", "whoever takes everything from now on misses nothing");
      }
      const hopeless = lived(steps);
      const since = hopeless.now;
      settleAll(hopeless, BROKEN);
      law(7, hopeless.now - since < 30 * DAY, "what nobody takes is given up in its time");
    }),
    { numRuns: 3_000, includeErrorInReport: true },
  );
}, 60_000);

it("a receiver that takes everything is told of each start and of the end, in their order", () => {
  const world = newOutboxWorld();
  const taken: number[] = [];
  const visit = () => {
    while (begin(world)) {
      taken.push(Number(world.flight?.id.split("_").at(-1)));
      tell(world, DELIVERED);
    }
  };
  for (let attempt = 0; attempt < 3; attempt++) {
    happen(world, ["started", "progress"]);
    visit();
    world.now += SECOND;
  }
  happen(world, ["progress", "progress", "completed"]);
  visit();
  expect(taken).toEqual([2, 3, 4, 5, 6, 7, 10]);
  expect(world.now).toBe(NOW + 3 * SECOND);
});

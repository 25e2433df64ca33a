import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { advance, batchOf, type Operation, type Outcome } from "../../src/domain/operation.ts";

const NOW = 1_000_000;

function operationOf(overrides: Partial<Operation> = {}): Operation {
  return {
    operationId: "op_1",
    action: "retry",
    selection: { filter: {} },
    lastLetter: 100,
    cursor: 0,
    matched: 100,
    done: 0,
    refused: 0,
    ratePerSecond: 10,
    startedAt: 0,
    endedAt: null,
    nextStepAt: 5,
    stumbles: 0,
    errors: [],
    ...overrides,
  };
}

const done = (id: number): Outcome => ({ id, dlqId: `dlq_${id}`, type: "done", newJobId: null });
const refused = (id: number): Outcome => ({
  id,
  dlqId: `dlq_${id}`,
  type: "refused",
  detail: "No such model",
});
const overtaken = (id: number): Outcome => ({ id, dlqId: `dlq_${id}`, type: "overtaken" });
const unreachable = (id: number): Outcome => ({ id, dlqId: `dlq_${id}`, type: "unreachable" });

describe("an operation", () => {
  it("passes what is done and what is refused, and counts both", () => {
    const next = advance(operationOf(), [done(3), refused(5), done(8)], NOW);
    expect(next).toMatchObject({ cursor: 8, done: 2, refused: 1, stumbles: 0, nextStepAt: 5 });
    expect(next.errors).toEqual([{ dlqId: "dlq_5", detail: "No such model" }]);
  });

  it("passes what went another way meanwhile, and does not count it", () => {
    const next = advance(operationOf(), [overtaken(1), done(2), overtaken(3)], NOW);
    expect(next).toMatchObject({ cursor: 3, done: 1, refused: 0, errors: [], stumbles: 0 });
  });

  it("stays as it is where there was nothing to do", () => {
    expect(advance(operationOf({ cursor: 7 }), [], NOW)).toEqual(operationOf({ cursor: 7 }));
  });

  it("keeps the first five errors as samples", () => {
    const many = Array.from({ length: 9 }, (_, at) => refused(at + 1));
    const next = advance(advance(operationOf(), many, NOW), [refused(10)], NOW);
    expect(next.refused).toBe(10);
    expect(next.errors.map(({ dlqId }) => dlqId)).toEqual([1, 2, 3, 4, 5].map((id) => `dlq_${id}`));
  });

  it("does not pass a job it could not reach, nor count twice what lies behind it", () => {
    const first = [done(1), unreachable(2), refused(3), done(4)];
    const waiting = advance(operationOf(), first, NOW);
    expect(waiting).toMatchObject({ cursor: 1, done: 2, refused: 0, stumbles: 1 });
    expect(waiting.nextStepAt).toBe(NOW + 1_000);
    const next = advance(waiting, [done(2), refused(3)], NOW);
    expect(next).toMatchObject({ cursor: 3, done: 3, refused: 1, stumbles: 0 });
  });

  it("waits twice as long each time, about a minute in all, then gives such letters up and goes on", () => {
    let operation = operationOf();
    const waits: number[] = [];
    for (;;) {
      const next = advance(operation, [unreachable(1), unreachable(2)], NOW);
      if (next.refused > 0) {
        expect(next).toMatchObject({ cursor: 2, refused: 2, stumbles: 0 });
        expect(next.errors[0]?.detail).toBe("The job could not be reached");
        break;
      }
      waits.push(next.nextStepAt - NOW);
      operation = next;
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
  });

  it("that got somewhere begins to count its stumbles anew", () => {
    const stumbled = operationOf({ stumbles: 4 });
    expect(advance(stumbled, [done(1), unreachable(2)], NOW).stumbles).toBe(1);
    expect(advance(stumbled, [unreachable(2), done(3)], NOW).stumbles).toBe(5);
  });
});

function sum(some: { bytes: number }[]): number {
  return some.reduce((total, { bytes }) => total + bytes, 0);
}

describe("a batch", () => {
  const letters = fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 3_000_000 }) }), {
    minLength: 1,
    maxLength: 50,
  });

  it("is the first letters, as many as 32 and 4 MiB admit, and one at least", () => {
    fc.assert(
      fc.property(letters, (all) => {
        const batch = batchOf(all);
        expect(batch).toEqual(all.slice(0, batch.length));
        expect(batch.length).toBeGreaterThanOrEqual(1);
        expect(batch.length).toBeLessThanOrEqual(32);
        if (batch.length > 1) expect(sum(batch)).toBeLessThanOrEqual(4_194_304);
        const more = all.slice(0, batch.length + 1);
        if (more.length > batch.length && batch.length < 32) {
          expect(sum(more)).toBeGreaterThan(4_194_304);
        }
      }),
    );
  });

  it.each([
    ["of small letters is 32", 1_000, 32],
    ["of letters of a megabyte is four", 1_000_000, 4],
    ["of a letter larger than all that is that letter", 5_000_000, 1],
  ])("%s", (_, bytes, count) => {
    expect(batchOf(Array.from({ length: 50 }, () => ({ bytes })))).toHaveLength(count);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { ANSWERED, portsOf } from "./scripted.ts";
import {
  ANSWER,
  COST,
  events,
  holdQueues,
  job,
  leased,
  partOf,
  REPORT,
  submitted,
  textsOf,
  view,
} from "./support.ts";

holdQueues();

const TEXT = ["Rayleigh ", "scattering", "."];

/** What may be under way at once. Each is its own call; the platform orders them as it likes. */
const CALLS = {
  complete: (name: string, token: string) =>
    job(name).complete(token, partOf(TEXT.length, ""), ANSWER, REPORT),
  cancel: (name: string) => job(name).cancel("by the caller"),
  pulse: (name: string, token: string) => job(name).append(token, partOf(TEXT.length, "")),
  account: (name: string, token: string) => job(name).account(token, REPORT),
  lease: (name: string) => job(name).lease(crypto.randomUUID()),
  read: (name: string) => job(name).read(true),
};
type Call = keyof typeof CALLS;

describe("cancelling a job as it completes", () => {
  it("has one winner in every order of their calls, and is answered by it (invariants 1 and 3)", async () => {
    const names = Object.keys(CALLS) as Call[];
    const others = fc.array(fc.constantFrom(...names), { maxLength: 8 });
    const order = others.chain((calls) =>
      fc.shuffledSubarray<Call>(["complete", "cancel", ...calls], {
        minLength: calls.length + 2,
      }),
    );
    await fc.assert(
      fc.asyncProperty(order, async (calls) => {
        const name = await submitted();
        const { token } = await leased(name);
        for (const [part, text] of TEXT.entries())
          await job(name).append(token, partOf(part, text));
        await Promise.all(calls.map((call): Promise<unknown> => CALLS[call](name, token)));
        await expectOneEnd(name);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it("has one winner wherever in the answer it comes (invariants 1 and 3)", async () => {
    const moment = fc.record({
      words: fc.integer({ min: 0, max: 6 }),
      cancelAfter: fc.integer({ min: 0, max: 6 }),
      times: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(moment, async ({ words, cancelAfter, times }) => {
        const name = await submitted();
        const cancelled: Promise<unknown>[] = [];
        const model: CallModel = async (_call, onText) => {
          for (let word = 0; word < words; word++) {
            if (word === cancelAfter) {
              for (let time = 0; time < times; time++) cancelled.push(CALLS.cancel(name));
            }
            onText("word ");
            await Promise.resolve();
          }
          if (cancelAfter >= words) cancelled.push(CALLS.cancel(name));
          return ANSWERED;
        };
        await runAttempt(portsOf(name, model));
        await Promise.all(cancelled);
        await expectOneEnd(name);
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});

/** One terminal event, the last; one call; and what each end promises of the text and the bill. */
async function expectOneEnd(name: string): Promise<void> {
  const log = await events(name);
  const ends = log.filter(({ type }) => type === "completed" || type === "cancelled");
  expect(ends).toEqual(log.slice(-1));
  expect(log.filter(({ type }) => type === "started").length).toBeLessThanOrEqual(1);
  const shown = await view(name, true);
  expect(shown.status).toBe(ends[0]?.type);
  const text = textsOf(log);
  if (shown.status === "completed") {
    expect(shown).toMatchObject({ result: { content: text }, cost_usd: COST, wasted_cost_usd: 0 });
  } else {
    expect(shown.partial_output ?? "").toBe(text);
    expect(shown.cost_usd).toBeNull();
  }
}

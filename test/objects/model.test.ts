import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { CallReport, Command } from "../../src/domain/command.ts";
import { classify } from "../../src/domain/failure.ts";
import type { JobSpec, Route } from "../../src/domain/job.ts";
import { JITTER, Model } from "./model.ts";
import {
  ANSWER,
  CLAUDE,
  DAY_MS,
  GPT,
  holdClock,
  job,
  newName,
  objectOf,
  partOf,
  passTime,
  REPORT,
  REQUEST,
  specOf,
  stored,
} from "./support.ts";

holdClock();
beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(JITTER);
});

const FAILURES = [
  classify({ kind: "cut" }),
  classify({ kind: "not_configured" }),
  classify({ kind: "content_filter" }),
];

/** Of a call whose usage is known, of one whose provider said nothing of it, and of one that was refused. */
const REPORTS = [REPORT, { ...REPORT, usage: null }, { ...REPORT, usage: null, taken: false }];

const Step = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ type: "lease" } as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constantFrom("append", "append", "complete"),
      /** Of the part the attempt is at; another one repeats or skips. */
      skew: fc.constantFrom(0, 0, 0, -1, 1),
      text: fc.constantFrom("", "one ", "\u{1f600} "),
      /** Whose token: the last consumer's, the one's before, or nobody's. */
      holder: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("fail" as const),
      failure: fc.constantFrom(...FAILURES),
      report: fc.constantFrom(...REPORTS),
      holder: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, 6_000, 16_000, 31_000, 61_000, DAY_MS, 8 * DAY_MS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom("wake", "evict", "abort", "submit"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom("giveUp", "deadLettered", "deadLettered", "cancel", "delete"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("account" as const),
      holder: fc.constantFrom(0, 0, 1, 2),
      report: fc.constantFrom(...REPORTS),
    }),
  },
);
type Step = typeof Step extends fc.Arbitrary<infer S> ? S : never;

/** An object and its model, driven side by side. */
class Pair {
  readonly #name = newName();
  readonly #model = new Model();
  readonly #overrides: Partial<JobSpec>;
  readonly #tokens: string[] = [];
  #part = 0;

  constructor(overrides: Partial<JobSpec>) {
    this.#overrides = overrides;
  }

  /** A report that comes too late is still an account of its call. */
  #report(command: Extract<Command, { report: CallReport }>, now: number): void {
    if (this.#model.apply(command, now)) return;
    this.#model.apply({ type: "account", token: command.token, report: command.report }, now);
  }

  async take(step: Step): Promise<void> {
    const now = Date.now();
    const stub = job(this.#name);
    switch (step.type) {
      case "submit": {
        const spec = specOf(this.#overrides);
        const { type } = await stub.submit(spec, REQUEST);
        return expect(type).toBe(this.#model.submit(spec, now));
      }
      case "lease":
        return this.#lease(now);
      case "append": {
        const token = this.#token(step.holder);
        const part = partOf(this.#part + step.skew, step.text);
        const { go } = await stub.append(token, part);
        expect(go).toBe(this.#model.apply({ type: "append", token, ...part }, now));
        if (go && step.skew === 0 && step.text !== "") this.#part++;
        return;
      }
      case "complete": {
        const token = this.#token(step.holder);
        const part = partOf(this.#part + step.skew, step.text);
        await stub.complete(token, part, ANSWER, REPORT);
        const command = { type: "complete", token, ...part, answer: ANSWER } as const;
        return this.#report({ ...command, report: REPORT }, now);
      }
      case "fail": {
        const token = this.#token(step.holder);
        const { failure, report } = step;
        await stub.fail(token, failure, report);
        return this.#report({ type: "fail", token, failure, report, jitter: JITTER }, now);
      }
      case "account": {
        const token = this.#token(step.holder);
        await stub.account(token, step.report);
        this.#model.apply({ type: "account", token, report: step.report }, now);
        return;
      }
      case "giveUp": {
        this.#model.apply({ type: "give_up" }, now);
        return expect((await stub.giveUp()).type === "letter").toBe(this.#model.owesLetter);
      }
      case "deadLettered": {
        const stands = this.#model.apply({ type: "dead_letter" }, now);
        return expect(await stub.deadLettered()).toBe(stands);
      }
      case "delete":
        await stub.delete();
        this.#model.apply({ type: "cancel", reason: "Deleted by the client" }, now);
        this.#model.apply({ type: "delete" }, now);
        return;
      case "cancel":
        await stub.cancel("by the caller");
        this.#model.apply({ type: "cancel", reason: "by the caller" }, now);
        return;
      case "wake":
        if (await runDurableObjectAlarm(objectOf(this.#name))) {
          this.#model.apply({ type: "wake", jitter: JITTER }, now);
        }
        return;
      case "evict":
        return evictDurableObject(objectOf(this.#name));
      case "abort":
        return abortAllDurableObjects();
      case "pass":
        passTime(step.ms);
    }
  }

  /** The object tells its readers what the model would, and its alarm is not later than the model's. */
  async compare(): Promise<void> {
    const now = Date.now();
    const found = await job(this.#name).log(0);
    const told =
      found.type === "found"
        ? {
            type: found.type,
            status: found.value.status,
            log: found.value.events.map(({ json }) => JSON.parse(json) as unknown),
            attempts: await job(this.#name).attempts(),
          }
        : { type: found.type };
    expect(told).toEqual(this.#model.told(now));
    const { alarm, rows } = await stored(this.#name);
    const wakeAt = this.#model.wakeAt(now);
    if (wakeAt === null) return expect(rows).toEqual([]);
    expect(alarm).toBeTypeOf("number");
    expect(alarm).toBeLessThanOrEqual(wakeAt);
  }

  /** Leaves the job to its alarms, and to consumers that take a lease and die. It must end, and be forgotten. */
  async abandon(): Promise<void> {
    for (let alarms = 0; alarms < 60; alarms++) {
      const { alarm } = await stored(this.#name);
      if (alarm === null) break;
      vi.setSystemTime(Math.max(Date.now(), alarm));
      await this.take({ type: "wake" });
      await this.#lease(Date.now());
      // A letter that nobody ever wrote would be owed for ever: its consumer comes every now and then.
      if (alarms % 4 === 3) await this.take({ type: "deadLettered" });
      await this.compare();
    }
    expect(this.#model.told(Date.now())).toEqual({ type: "unknown" });
  }

  async #lease(now: number): Promise<void> {
    const token = crypto.randomUUID();
    const { type } = await job(this.#name).lease(token);
    const granted = this.#model.apply({ type: "lease", token }, now);
    expect(type === "leased").toBe(granted);
    if (!granted) return;
    this.#tokens.unshift(token);
    this.#part = 0;
  }

  #token(holder: number): string {
    return this.#tokens[holder] ?? "nobody's";
  }
}

describe("the job object", () => {
  it("does what the pure machine does, through any commands, evictions and crashes (invariants 1 to 6 and 10)", async () => {
    const steps = fc.array(Step, { minLength: 10, maxLength: 40 });
    const routes = fc.constantFrom<Route[]>([GPT], [GPT, CLAUDE]);
    const retentionMs = fc.constantFrom(30_000, 2 * DAY_MS);
    await fc.assert(
      fc.asyncProperty(routes, retentionMs, steps, async (served, keptMs, taken) => {
        const pair = new Pair({ routes: served, retentionMs: keptMs, maxAttempts: 2 });
        await pair.take({ type: "submit" });
        for (const step of taken) {
          await pair.take(step);
          await pair.compare();
        }
        await pair.abandon();
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

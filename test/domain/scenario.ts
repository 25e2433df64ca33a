import fc from "fast-check";

import type { Failure } from "../../src/domain/failure.ts";
import type { JobSpec, PlannedStep, Route } from "../../src/domain/job.ts";
import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import {
  APPROVAL_STEP,
  BROKEN,
  CURIOUS,
  DAY,
  DELIVERED,
  GONE,
  HOUR,
  HTTP_STEP,
  LLM_STEP,
  MINUTE,
  NOW,
  SECOND,
  specOf,
  TEMPLATE_STEP,
  WEBHOOK,
} from "./fixtures.ts";
import type { Metered } from "./meter.ts";

/** Which part a consumer sends: the next, the last one again, one after a gap, or none (it only asks). */
export type Which = "next" | "again" | "gap" | "none";

/** `who`: 0 is the consumer that had the last lease, 1 the one before it, and so on: zombies all but the first. */
export type Act =
  | { type: "come" }
  | { type: "append"; who: number; which: Which }
  | { type: "complete"; who: number; which: Which; metered: Metered }
  | { type: "fail"; who: number; failure: Failure; metered: Metered; jitter: number }
  | { type: "account"; who: number; metered: Metered }
  | { type: "give_up" }
  | { type: "dead_letter" }
  | { type: "cancel" }
  | { type: "delete" }
  /** `off`: how far the step whose request is answered is from the one at work; it may not have been made. */
  | { type: "answer"; off: number; approved: boolean }
  | { type: "deliver"; outcome: DeliveryOutcome }
  | { type: "wake"; jitter: number };

/** `after`: milliseconds since the step before. */
export type Step = { after: number; act: Act };
/** `carried`: the bytes of the outputs that its first steps begin with. */
export type Scenario = { spec: JobSpec; carried: number[]; steps: Step[] };

/** A dollar a token, two dollars, three: every cost is a whole number, and says which model's it is. */
const ROUTES: Route[] = ["gpt-4o", "gpt-4o-mini", "o3"].map((model, index) => ({
  name: model,
  model,
  provider: "openai",
  price: { input: (index + 1) * 1_000_000, output: (index + 1) * 1_000_000 },
}));

const LEASES = [3 * SECOND, MINUTE];

const MOST_STEPS = 4;

const llm = fc.record({
  routes: fc.integer({ min: 1, max: ROUTES.length }).map((count) => ROUTES.slice(0, count)),
  reads: fc.array(fc.nat({ max: MOST_STEPS - 1 }), { maxLength: 2 }),
});

const step = fc
  .record({
    like: fc.constantFrom(LLM_STEP, LLM_STEP, HTTP_STEP, TEMPLATE_STEP, APPROVAL_STEP),
    calls: llm,
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    timeoutMs: fc.constantFrom(SECOND, 30 * SECOND),
    expiresMs: fc.constantFrom(5 * SECOND, 2 * DAY),
  })
  .map(({ like, calls, expiresMs, ...bounds }): PlannedStep => {
    const asked = like.type === "approval" ? { expiresMs } : {};
    return Object.assign({}, like, bounds, asked, like.type === "llm" ? calls : {});
  });

/** Names of their own, and nothing is read that is yet to come. */
function inOrder(all: PlannedStep[]): PlannedStep[] {
  return all.map((one, index) => {
    const reads = one.reads.filter((read) => read < index);
    return Object.assign({}, one, { name: `${one.name} ${index}`, reads });
  });
}

const steps = fc.array(step, { minLength: 1, maxLength: MOST_STEPS }).map(inOrder);

const spec: fc.Arbitrary<JobSpec> = fc
  .record({
    routes: fc.integer({ min: 1, max: ROUTES.length }),
    maxAttempts: fc.integer({ min: 1, max: 4 }),
    maxStalls: fc.integer({ min: 0, max: 2 }),
    leaseMs: fc.constantFrom(...LEASES),
    timeoutMs: fc.constantFrom(SECOND, 30 * SECOND),
    delayMs: fc.constantFrom(0, 0, 0, 5 * SECOND, 2 * HOUR),
    ttlMs: fc.constantFrom(6 * HOUR, 10 * MINUTE, SECOND),
    lifeMs: fc.constantFrom(DAY, DAY, 10 * SECOND),
    baseMs: fc.constantFrom(1, 5 * SECOND),
    retentionMs: fc.constantFrom(SECOND, DAY),
    keyMs: fc.constantFrom(HOUR, DAY),
    webhook: fc.constantFrom(null, WEBHOOK, CURIOUS),
    // Enough for any number of calls, for a few, for just one, and for the prompt of the cheapest.
    cap: fc.constantFrom(null, null, 1_000_000, 400, 100, 13),
    steps: fc.oneof(fc.constant(null), steps),
  })
  .map(
    ({
      routes,
      steps,
      delayMs,
      ttlMs,
      lifeMs,
      baseMs,
      retentionMs,
      keyMs,
      webhook,
      cap,
      ...rest
    }) =>
      specOf({
        ...rest,
        routes: ROUTES.slice(0, routes),
        ...(steps === null ? {} : { steps }),
        runAt: NOW + delayMs,
        startBy: NOW + delayMs + ttlMs,
        endBy: NOW + delayMs + ttlMs + lifeMs,
        backOff: { baseMs, maxMs: 300 * SECOND },
        retentionMs,
        failedRetentionMs: 2 * retentionMs,
        keyExpiresAt: NOW + keyMs,
        ...(webhook === null ? {} : { webhook }),
        ...(cap === null ? {} : { maxCostUsd: cap }),
      }),
  );

/** Mostly the newest consumer, often enough one that should have been dead for long. */
const who = fc.constantFrom(0, 0, 0, 1, 2);
const which = fc.constantFrom<Which>("next", "next", "next", "again", "gap", "none");
const metered = fc.constantFrom<Metered>("known", "known", "unknown", "refused");
const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const failure: fc.Arbitrary<Failure> = fc.record({
  code: fc.constant("provider_unavailable" as const),
  message: fc.constant("The provider is unavailable"),
  remedy: fc.constantFrom("retry", "retry", "retry", "next_model", "give_up"),
  retryAfterMs: fc.constantFrom(null, 0, 7 * SECOND, DAY),
});

const complete = fc.record({ type: fc.constant("complete" as const), who, which, metered });
const fail = fc.record({ type: fc.constant("fail" as const), who, failure, metered, jitter });

const answer = fc.record({
  type: fc.constant("answer" as const),
  off: fc.constantFrom(0, 0, 0, 0, 1, -1),
  approved: fc.constantFrom(true, true, false),
});

const outcome = fc.constantFrom(DELIVERED, DELIVERED, BROKEN, BROKEN, GONE);
const deliver = fc.record({ type: fc.constant("deliver" as const), outcome });

const act = fc.oneof<[{ arbitrary: fc.Arbitrary<Act>; weight: number }, ...Weighted[]]>(
  { weight: 5, arbitrary: fc.constant({ type: "come" }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("append" as const), who, which }) },
  { weight: 2, arbitrary: complete },
  { weight: 3, arbitrary: fail },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("account" as const), who, metered }) },
  { weight: 1, arbitrary: fc.constantFrom({ type: "give_up" }, { type: "delete" }) },
  { weight: 2, arbitrary: fc.constant({ type: "dead_letter" }) },
  { weight: 1, arbitrary: fc.constant({ type: "cancel" }) },
  { weight: 2, arbitrary: deliver },
  { weight: 3, arbitrary: answer },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("wake" as const), jitter }) },
);
type Weighted = { arbitrary: fc.Arbitrary<Act>; weight: number };

const pause = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 3, arbitrary: fc.integer({ min: SECOND, max: 10 * SECOND }) },
  { weight: 2, arbitrary: fc.constantFrom(...LEASES, ...LEASES.map((ms) => ms - 1)) },
  { weight: 1, arbitrary: fc.integer({ min: MINUTE, max: 5 * HOUR }) },
);

/** A job and what befalls it, in whatever order and at whatever distance. */
export const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    spec,
    outputs: fc.oneof(fc.constant([]), fc.array(fc.nat({ max: 40 }), { maxLength: MOST_STEPS })),
    steps: fc.array(fc.record({ after: pause, act }), { maxLength: 40, size: "max" }),
  })
  .map(({ spec, outputs, steps }) => {
    // A job whose every step is finished has nothing to repeat.
    const carried = outputs.slice(0, Math.max(0, (spec.steps?.length ?? 0) - 1));
    return { spec, carried, steps };
  });

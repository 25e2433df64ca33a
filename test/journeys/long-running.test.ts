import { afterAll, beforeAll, expect, it } from "vitest";

import { expectWholeLog } from "../support/api.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

/** The shortest lease there is, renewed by a third of it; a model thinks for longer. */
const LEASE_SECONDS = 3;
const THINKS_MS = 2 * LEASE_SECONDS * 1_000 + 500;

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney({ LEASE_SECONDS: `${LEASE_SECONDS}`, PULSE_MS: "200" });
});
afterAll(() => journey.close());

it("a model that thinks for longer than the lease keeps it by its consumer's pulses (invariant 3)", async () => {
  const prompt = freshPrompt(`[tokens=5 first=${THINKS_MS}]`);
  const { job_id } = await journey.api.submit({ prompt, profile: "long_running" });
  expect(await journey.api.ended(job_id)).toMatchObject({ status: "completed", attempts_made: 1 });
  const calls = journey.provider.callsFor(prompt);
  expect(calls).toHaveLength(1);
  const log = await journey.api.log(job_id);
  expectWholeLog(log);
  expect(log.map(({ type }) => type)).not.toContain("attempt_failed");
  const { result, timings } = await journey.api.read(job_id);
  expect(result?.content).toBe(answerOf(calls[0] ?? { id: 0 }, 5));
  expect(timings?.ttft_ms).toBeGreaterThanOrEqual(THINKS_MS);
});

it("a long-running job is given two attempts", async () => {
  const prompt = freshPrompt("[status=503]");
  const { job_id } = await journey.api.submit({ prompt, profile: "long_running" });
  expect(await journey.api.ended(job_id)).toMatchObject({ status: "failed", attempts_made: 2 });
  expect(journey.provider.callsFor(prompt)).toHaveLength(2);
});

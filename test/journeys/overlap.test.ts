import { afterAll, beforeAll, expect, it } from "vitest";

import {
  answerOf,
  freshPrompt,
  startProcessJourney,
  type ProcessJourney,
} from "../support/journey.ts";

let journey: ProcessJourney;
beforeAll(async () => {
  journey = await startProcessJourney({ LEASE_SECONDS: "60", PULSE_MS: "1000" });
});
afterAll(() => journey.close());

const JOBS = 20;
const JOB_MS = 3_000;

it("twenty jobs submitted one after another run side by side and finish together", async () => {
  const prompts = Array.from({ length: JOBS }, () =>
    freshPrompt(`[tokens=60 every=${JOB_MS / 60}]`),
  );
  const ids: string[] = [];
  for (const prompt of prompts) ids.push((await journey.api.submit({ prompt })).job_id);
  const ended = await Promise.all(ids.map((id) => journey.api.ended(id)));
  expect(journey.provider.peak).toBe(JOBS);
  for (const [index, prompt] of prompts.entries()) {
    const calls = journey.provider.callsFor(prompt);
    expect(calls).toHaveLength(1);
    expect(ended[index]?.result?.content).toBe(answerOf(calls[0] ?? { id: 0 }, 60));
  }
  const ends = ended.map(({ completed_at }) => Date.parse(completed_at ?? ""));
  expect(Math.max(...ends) - Math.min(...ends)).toBeLessThan(JOB_MS);
});

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { KINDS } from "../support/faulty.ts";
import { seeded } from "../support/random.ts";
import { Chaos, type Subject } from "./chaos.ts";
import { holdStage } from "./stage.ts";
import { events, lines, view } from "./support.ts";

holdStage();
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: Date.now() + 3_600_000 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const JOBS = 6;
const STEPS = 60;
/** More alarms than a job can need whose every message is lost: one each quarter of an hour, for days. */
const MAX_ALARMS = 1_000;
/** How long the model may go on, or begin, after a cancellation that the consumer has not heard of. */
const CANCEL_GRACE_MS = 2_000;

const TERMINAL = ["completed", "failed", "cancelled"];

/** Lives through one seed's world, and audits every job in it. */
async function live(seed: number): Promise<string[]> {
  vi.spyOn(Math, "random").mockImplementation(seeded(seed));
  const chaos = new Chaos(seed);
  for (let at = 0; at < STEPS; at++) {
    if (chaos.subjects.length < JOBS && at % 3 === 0) await chaos.submit();
    await chaos.step();
  }
  await chaos.calm();
  for (const subject of chaos.subjects) await abandon(chaos, subject);
  const logs = await Promise.all(chaos.subjects.map(({ name }) => lines(name)));
  for (const [at, subject] of chaos.subjects.entries()) await audit(chaos, subject, logs[at] ?? []);
  const { length } = chaos.provider.calls;
  await chaos.replayAll();
  expect(chaos.provider.calls).toHaveLength(length);
  for (const [at, { name }] of chaos.subjects.entries())
    expect(await lines(name)).toEqual(logs[at]);
  const ends = await Promise.all(chaos.subjects.map(async ({ name }) => (await view(name)).status));
  return [...chaos.faults.struck, ...ends];
}

/** Leaves the job to its alarms. It must end. */
async function abandon(chaos: Chaos, subject: Subject): Promise<void> {
  for (let alarms = 0; !TERMINAL.includes((await view(subject.name)).status); alarms++) {
    if (alarms > MAX_ALARMS) throw new Error(`invariant 2: ${subject.name} never ends`);
    await chaos.ring(subject);
  }
}

async function audit(chaos: Chaos, { name, spec, seen }: Subject, log: string[]): Promise<void> {
  const told = await events(name);
  const job = await view(name);
  expect(
    told.map(({ seq }) => seq),
    "invariant 4: gapless",
  ).toEqual(told.map((_, at) => at + 1));
  for (const before of seen)
    expect(log.slice(0, before.length), "invariant 4: append-only").toEqual(before);
  const ends = told.filter(({ type }) => TERMINAL.includes(type));
  expect(ends, "invariant 1: one end, and it is the last").toEqual(told.slice(-1));
  expect(job.status).toBe(ends[0]?.type);

  const first = chaos.provider.callsFor(name);
  const second = chaos.provider.calls.filter(({ prompt }) => prompt.startsWith(`${name} `));
  const calls = [...first, ...second];
  const started = told.filter(({ type }) => type === "started").length;
  expect(calls.length, "invariant 3: a call needs a lease").toBeLessThanOrEqual(started);
  for (const { model } of spec.routes) {
    for (const step of [first, second]) {
      const made = step.filter((call) => call.model === model).length;
      expect(made, "invariant 3: at most max_attempts").toBeLessThanOrEqual(spec.maxAttempts);
    }
  }
  const graceMs = job.status === "cancelled" ? CANCEL_GRACE_MS : 0;
  const endedAt = Date.parse(ends[0]?.at ?? "") + graceMs;
  for (const { startedAt } of calls)
    expect(startedAt, "invariant 3: none after the end").toBeLessThanOrEqual(endedAt);
  const answers = textsOf(first);
  const draft = told.find(({ type }) => type === "step_completed");
  const draftedAt = Date.parse(draft?.at ?? job.cancelled_at ?? job.failed_at ?? "");
  if (spec.steps !== undefined) {
    for (const { startedAt } of first)
      expect(startedAt, "invariant 3: no finished step is run again").toBeLessThanOrEqual(
        draftedAt + graceMs,
      );
    expect(new Set(second.map(({ prompt }) => prompt)).size).toBeLessThanOrEqual(1);
  }
  if (job.status !== "completed") return;
  const expected =
    spec.steps === undefined
      ? answers
      : answers.flatMap((one) => textsOf(second).map((other) => one + other));
  expect(expected, "invariant 5: exactly one attempt's text").toContain(job.result?.content);
}

function textsOf(calls: { finished: boolean; text: string }[]): string[] {
  return calls.filter(({ finished }) => finished).map(({ text }) => text);
}

const RUNS = Number(Reflect.get(env, "CHAOS_RUNS") || 25);
const SEED = Number(Reflect.get(env, "CHAOS_SEED") || Date.now() % 1_000_000);

it(
  "every job ends once and by the rules, whatever fails around it and whatever comes twice, late or never (invariants 1 to 6)",
  async () => {
    const met = new Set<string>();
    for (let seed = SEED; seed < SEED + RUNS; seed++) {
      try {
        for (const what of await live(seed)) met.add(what);
      } catch (error) {
        throw new Error(`CHAOS_SEED=${seed} CHAOS_RUNS=1 shows it again`, { cause: error });
      }
    }
    // A world in which nothing happens proves nothing.
    if (RUNS >= 10) expect(met).toEqual(new Set([...KINDS, ...TERMINAL]));
  },
  30_000 + RUNS * 5_000,
);

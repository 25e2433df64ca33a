import fc from "fast-check";

import type { Failure } from "../../src/domain/failure.ts";
import type { JobSpec } from "../../src/domain/job.ts";
import { wakeAt } from "../../src/domain/job.ts";
import { BROKEN, COMMANDS, DAY } from "./fixtures.ts";
import { law } from "./invariants.ts";
import { probe, probeExpired } from "./probes.ts";
import { scenario, type Scenario } from "./scenario.ts";
import { routesNow, sinceLastStep, stepNow, stepsDone } from "./course-observed.ts";
import {
  act,
  answer,
  come,
  deliver,
  give,
  newWorld,
  settle,
  speak,
  writeLetter,
  type Machine,
  type World,
} from "./world.ts";

/** More wakes than any job of the scenarios can need to end and to be forgotten. */
const MAX_WAKES = 5_000;

/**
 * Holds a machine to invariants 1 to 5, 7 and 10 under random lives of random jobs. Throws with the number of the
 * one it broke, and with the seed that shows it again.
 */
export function checkLaws(machine: Machine, { runs = 1_500, seed = Date.now() } = {}): void {
  const property = fc.property(scenario, (life) => {
    live(machine, life);
    everyCallIsMade(machine, life.spec);
    // Nothing befalls it: so it comes as far as its time and its money go.
    drive(newWorld(machine, life.spec, life.carried), oneThatAnswers, approveAll);
  });
  fc.assert(property, { numRuns: runs, seed, includeErrorInReport: true });
}

/** Lives through the steps, then from where they led to the end in every company. */
function live(machine: Machine, { spec, carried, steps }: Scenario): void {
  const world = newWorld(machine, spec, carried);
  probe(world);
  for (const step of steps) {
    world.now += step.after;
    probeExpired(world);
    act(world, step.act);
    probe(world);
  }
  for (const company of COMPANIES) {
    drive(copyOf(world), company, () => {});
    if (spec.steps !== undefined) drive(copyOf(world), company, approveAll);
  }
}

/** A second world that goes its own way from here. */
function copyOf(world: World): World {
  const consumers = world.consumers.map((consumer) => ({ ...consumer, said: [...consumer.said] }));
  const holder = consumers.find(({ token }) => token === world.holder?.token) ?? null;
  return { ...world, log: [...world.log], consumers, holder };
}

/** Who comes once the doorbell has rung by the alarm: every message before it was lost. */
type Company = (world: World) => void;

/** Somebody approves at once whatever the job asks: then all that comes after can be seen. */
function approveAll(world: World): void {
  while (!world.forgotten && world.job.status === "waiting") {
    answer(world, stepsDone(world.log), true);
  }
}

const nobody: Company = () => {};

const oneThatFallsSilent: Company = (world) => come(world);

const oneThatFails: Company = (world) => {
  come(world);
  speak(world, "append", 0, "next");
  fail(world);
};

/** Meets a provider that asks for as long a wait as there is. */
const oneThatIsToldToWait: Company = (world) => {
  come(world);
  fail(world, { ...COMMANDS.fail.failure, retryAfterMs: DAY });
};

/** Dies in the middle of its text, then answers. */
const oneThatAnswersAtLast: Company = (world) => {
  come(world);
  speak(world, "append", 0, "next");
  if (world.consumers.length > 1) speak(world, "complete", 0, "next");
};

const oneThatAnswers: Company = (world) => {
  come(world);
  speak(world, "complete", 0, "next");
};

const oneThatNeverStopsTalking: Company = (world) => {
  come(world);
  const { token } = world.holder ?? {};
  for (let words = 0; world.holder !== null && world.holder.token === token; words++) {
    law(2, words < MAX_WAKES, "an attempt ends, however long its consumer talks");
    speak(world, "append", 0, "next");
    world.now += world.spec.leaseMs / 2;
    settle(world);
  }
};

const COMPANIES = [
  nobody,
  oneThatFallsSilent,
  oneThatFails,
  oneThatIsToldToWait,
  oneThatAnswersAtLast,
  oneThatNeverStopsTalking,
];

/** How often the dead-letter consumer's own message is lost before it comes: it is the one without whom nothing ends. */
const LOST_LETTERS = 4;

/** Invariant 2: with its alarm alone, and whoever comes or does not, a job ends and is forgotten. */
function drive(world: World, company: Company, approver: Company): void {
  for (let wakes = 0; !world.forgotten; wakes++) {
    approver(world);
    law(2, wakes < MAX_WAKES, `a job ends, but this one is still ${world.job.status}`);
    world.now = Math.max(world.now, wakeAt(world.job));
    settle(world);
    if (!world.forgotten && wake(world)) company(world);
    if (!world.forgotten) deliver(world, BROKEN);
    if (world.letter === "owed" && world.letterRings > LOST_LETTERS) writeLetter(world);
  }
}

/** Whether the alarm rang the doorbell. */
function wake(world: World): boolean {
  const { job, now } = world;
  const result = give(world, COMMANDS.wake);
  law(2, result !== null, "an alarm is always heard");
  const rang = result.effects.some(({ type }) => type === "ring");
  const isForCall = stepNow(world)?.type !== "approval";
  const rings = job.status === "queued" && now >= job.ringAt && isForCall;
  law(2, rang || !rings, "the alarm rings the doorbell again");
  if (job.status === "failed" && job.letter !== null && now >= job.letter.ringAt) {
    const rung = result.effects.some(({ type }) => type === "dead_letter");
    law(2, rung, "the alarm rings for the dead-letter consumer again");
  }
  law(2, wakeAt(world.job) > now, "an alarm that has fired is not due again at once");
  return rang;
}

/** Invariant 3 from its other side: as long as calls fail and may be retried, every model gets its own. */
function everyCallIsMade(machine: Machine, spec: JobSpec): void {
  const { maxCostUsd: _, ...unbounded } = spec;
  for (const failing of (spec.steps ?? [spec]).keys()) {
    const world = newWorld(machine, { ...unbounded, endBy: Infinity });
    approveAll(world);
    while (world.job.status === "queued") {
      world.now = world.job.readyAt;
      settle(world);
      wake(world);
      come(world);
      if (stepsDone(world.log) === failing) fail(world);
      else if (isAtLastModel(world)) speak(world, "complete", 0, "next");
      else fail(world, { ...COMMANDS.fail.failure, remedy: "next_model" });
      approveAll(world);
    }
    if (world.job.status === "completed") continue;
    const { maxAttempts } = spec.steps?.[failing] ?? spec;
    for (const { model } of routesNow(world)) {
      const calls = sinceLastStep(world.log).filter(
        (event) => event.type === "started" && event.model === model,
      );
      law(3, calls.length === maxAttempts, `${model} gets the calls it may have`);
    }
  }
}

function isAtLastModel(world: World): boolean {
  const start = world.log.findLast((event) => event.type === "started");
  return start?.model === routesNow(world).at(-1)?.name;
}

function fail(world: World, failure: Failure = COMMANDS.fail.failure): void {
  if (world.holder === null) return;
  give(world, { ...COMMANDS.fail, failure, token: world.holder.token });
}

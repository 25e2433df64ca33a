import { isToAsk } from "../../src/domain/advance.ts";
import type { Command } from "../../src/domain/command.ts";
import {
  currentAttempt,
  dueAt,
  hasEnded,
  hasLetter,
  wakeAt,
  type Job,
  type JobSpec,
  type LogEvent,
} from "../../src/domain/job.ts";
import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { nextDelivery } from "../../src/domain/outbox.ts";
import type { accept, transition } from "../../src/domain/transition.ts";
import { promptTokensNow, stepNow, stepsDone } from "./course-observed.ts";
import { COMMANDS, type Taken } from "./fixtures.ts";
import { isOver, law, lawsOfAStep } from "./invariants.ts";
import {
  billFor,
  finalBill,
  isPaidFor,
  reportOf,
  routeOf,
  type Bill,
  type Metered,
} from "./meter.ts";
import type { Act, Which } from "./scenario.ts";
import { answerTo, commandOf, partOf } from "./words.ts";

export type Machine = { accept: typeof accept; transition: typeof transition };

/** One that was granted a lease. It keeps its token for good, as a zombie does. */
export type Consumer = {
  token: string;
  attempt: number;
  /** Index of the step it was for, and what its prompt was likely to count. */
  step: number;
  promptTokens: number;
  /** The parts of its text the job has taken; the next one's number is their count. */
  said: string[];
  /** What its call came to, once it has ended. */
  bill: Bill | null;
};

/** A job under a machine, and what an observer knows of it without believing the machine. */
export type World = {
  machine: Machine;
  /** As it was submitted. A machine may not change it. */
  spec: JobSpec;
  job: Job;
  now: number;
  log: LogEvent[];
  /** All there ever were, newest first. */
  consumers: Consumer[];
  /** The one whose attempt runs. */
  holder: Consumer | null;
  /** The job's dead letter: there is none, it is still to be written, or it is. */
  letter: "none" | "owed" | "written";
  /** How often the dead-letter consumer was rung for. */
  letterRings: number;
  /** Nothing is left of the job, its id included. */
  forgotten: boolean;
};

export function newWorld(machine: Machine, spec: JobSpec, carried: number[] = []): World {
  const result = machine.accept(spec, carried);
  law(2, result.ok, "a submission is accepted");
  const { job } = result;
  const world: World = {
    machine,
    spec,
    job,
    now: spec.submittedAt,
    log: [],
    consumers: [],
    holder: null,
    letter: "none",
    letterRings: 0,
    forgotten: false,
  };
  take(world, result, null);
  askIfDue(world);
  return world;
}

/** What time alone has decided is decided before anybody speaks: a caller of the machine owes it that. */
export function settle(world: World): void {
  for (let wakes = 0; !world.forgotten && world.now >= (dueAt(world.job) ?? Infinity); wakes++) {
    law(2, wakes < 10, "time's decisions come to an end");
    give(world, { type: "wake", jitter: 0.5 });
  }
}

/** Gives a command to the job as it stands now. Its answer, if it was taken. */
export function give(world: World, command: Command): Taken | null {
  const result = world.machine.transition(world.job, command, world.now);
  if (!result.ok) return null;
  take(world, result, command);
  askIfDue(world);
  return result;
}

/** In the turn that brings a job to an approval it is asked for: a caller of the machine owes it that as well. */
function askIfDue(world: World): void {
  if (world.forgotten || !isToAsk(world.job, world.now)) return;
  const result = world.machine.transition(world.job, COMMANDS.ask, world.now);
  law(2, result.ok, "what has come to an approval asks for it");
  take(world, result, COMMANDS.ask);
}

export function act(world: World, act: Act): void {
  settle(world);
  if (world.forgotten) return;
  switch (act.type) {
    case "come":
      return come(world);
    case "append":
      return speak(world, act.type, act.who, act.which);
    case "complete":
      return speak(world, act.type, act.who, act.which, act.metered);
    case "fail":
      return fail(world, act);
    case "account":
      return account(world, act.who, act.metered);
    case "dead_letter":
      return writeLetter(world);
    case "give_up":
    case "wake":
      give(world, act);
      return;
    case "cancel":
      give(world, CANCEL);
      return;
    case "delete":
      return remove(world);
    case "deliver":
      return deliver(world, act.outcome);
    case "answer":
      return answer(world, stepsDone(world.log) + act.off, act.approved);
  }
}

/** Somebody answers what was, or was not, asked. */
export function answer(world: World, step: number, approved: boolean): void {
  const { job, log } = world;
  const asked = job.status === "waiting" && step === stepsDone(log);
  const result = give(world, answerTo(world.spec, step, approved));
  law(3, (result !== null) === asked, "what is asked is answered, once, and nothing else is");
  if (result === null) return;
  const isOff = world.job.status === "cancelled";
  law(1, isOff === !approved, "a job goes on if it was approved, and is cancelled if it was not");
}

const CANCEL: Command = { type: "cancel", reason: "Cancelled by the client" };

/** The owner deletes the job: it ends, unless it has ended, and nothing of it is left. */
function remove(world: World): void {
  if (!isOver(world.job))
    law(1, give(world, CANCEL) !== null, "what has not ended can be cancelled");
  const { job } = world;
  const result = give(world, { type: "delete" });
  law(1, (result !== null) === (job.status !== "purged"), "a job that has ended can be deleted");
  if (result === null) return;
  const { effects, job: left } = result;
  const emptied = effects.some(({ type }) => type === "purge" || type === "forget");
  law(1, left.status === "purged" && emptied, "a deleted job keeps nothing of its content");
  law(1, left.attempts.length === 0, "a deleted job keeps nothing of its calls");
  law(7, left.outbox.length === 0, "a deleted job owes nobody anything");
  law(
    1,
    hasLetter(left) === hasLetter(job),
    "a deleted job takes its dead letter along, if it may have one",
  );
}

/** The consumer of deliveries comes: it attempts what is due, and says how that went. */
export function deliver(world: World, outcome: DeliveryOutcome): void {
  const due = nextDelivery(world.job.outbox, world.now);
  if (due === null) return;
  const { status, seq } = world.job;
  const token = `pass-${due.id}-${world.now}`;
  const result = give(world, {
    type: "settle",
    deliveryId: due.id,
    token,
    outcome,
    jitter: 0.5,
  });
  law(7, result !== null, "how a delivery went is always heard");
  const same = result.job.status === status && result.job.seq === seq;
  law(7, same && result.events.length === 0, "a delivery changes nothing of its job");
}

/** The dead-letter consumer comes: it writes down what it is owed, and says so. */
export function writeLetter(world: World): void {
  const { status } = world.job;
  const result = give(world, { type: "dead_letter" });
  const heard = status === "failing" || status === "failed";
  law(2, (result !== null) === heard, "a letter is heard of by the job that gave up, and no other");
}

/** A consumer asks for a lease. */
export function come(world: World): void {
  const token = `token-${world.consumers.length + 1}`;
  const { job, now } = world;
  const result = give(world, { type: "lease", token });
  const isForCall = stepNow(world)?.type !== "approval";
  const due = job.status === "queued" && now >= job.readyAt && isForCall;
  const bounds = { step: stepsDone(world.log), promptTokens: promptTokensNow(world) };
  const paid = isPaidFor(world);
  law(3, (result !== null) === due, "a lease is for a job that waits and is due, and no other");
  if (result === null) return;
  if (world.job.status === "failing") {
    law(3, !paid, "a job gets every attempt that its own budget pays for");
    return;
  }
  const attempt = currentAttempt(world.job)?.number ?? 0;
  world.holder = { token, attempt, ...bounds, said: [], bill: null };
  world.consumers.unshift(world.holder);
}

/** A consumer says a part of its text, or says it and ends. */
export function speak(
  world: World,
  type: "append" | "complete",
  who: number,
  which: Which,
  metered: Metered = "known",
): void {
  const consumer = world.consumers[who];
  if (consumer === undefined) return;
  const part = partOf(consumer, which);
  const gap = part.part > consumer.said.length;
  const fresh = part.part === consumer.said.length && part.text !== "";
  const heard = consumer === world.holder && !gap;
  // Before the command, since the end is judged by it; put back should the job not take it.
  if (fresh) consumer.said.push(part.text);
  const result = give(world, commandOf(type, consumer, part, metered));
  if (fresh && result === null) consumer.said.pop();
  law(5, !(gap && result !== null), "a part after a gap is refused");
  law(3, (result !== null) === heard, "the lease's holder is heard, and nobody else");
  const again = type === "append" && part.part < consumer.said.length && !fresh;
  law(5, !again || (result?.events.length ?? 0) === 0, "a part that comes again is told to nobody");
}

function fail(world: World, act: Extract<Act, { type: "fail" }>): void {
  const { who, failure, jitter, metered } = act;
  const consumer = world.consumers[who];
  if (consumer === undefined) return;
  const { token } = consumer;
  const heard = consumer === world.holder;
  const result = give(world, { type: "fail", token, failure, report: reportOf(metered), jitter });
  law(3, (result !== null) === heard, "the lease's holder is heard, and nobody else");
}

/** A consumer that was stopped, or should have been, tells what its call came to. */
function account(world: World, who: number, metered: Metered): void {
  const consumer = world.consumers[who];
  if (consumer === undefined) return;
  const { job } = world;
  const { token, bill } = consumer;
  const report = reportOf(metered);
  // Before the command, since all bills are added up by it; put back should the job not take it.
  const news = bill?.estimated === true && metered !== "unknown" && job.status !== "purged";
  if (news) consumer.bill = billFor(consumer, routeOf(world, consumer), report);
  const result = give(world, { type: "account", token, report });
  law(
    10,
    (result !== null) === news,
    "an account is taken in place of an estimate, and of no other",
  );
  if (result === null) return;
  const { status, seq, appended, said } = result.job;
  const same =
    status === job.status && seq === job.seq && appended === job.appended && said === job.said;
  law(10, same && result.events.length === 0, "an account changes no status, log or text");
  law(10, wakeAt(result.job) === wakeAt(job), "an account changes no time");
}

/** The machine's word is law, once it has been held against the laws. */
function take(world: World, result: Taken, command: Command | null): void {
  const over =
    world.holder !== null &&
    (result.events.some(({ type }) => type === "attempt_failed" || type === "step_completed") ||
      hasEnded(result.job));
  if (over && world.holder !== null) world.holder.bill = finalBill(world, world.holder, command);
  lawsOfAStep(world, result, command);
  world.job = result.job;
  world.log.push(...result.events);
  world.forgotten ||= result.effects.some(({ type }) => type === "forget");
  world.letterRings += result.effects.filter(({ type }) => type === "dead_letter").length;
  if (result.job.status === "failing") world.letter = "owed";
  else if (command?.type === "dead_letter") world.letter = "written";
  else if (!["failing", "failed"].includes(result.job.status)) world.letter = "none";
  if (over) world.holder = null;
}

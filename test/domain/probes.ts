import type { Command } from "../../src/domain/command.ts";
import { wakeAt, type Job } from "../../src/domain/job.ts";
import { stepsDone } from "./course-observed.ts";
import type { Taken } from "./fixtures.ts";
import { COMMANDS } from "./fixtures.ts";
import { isOver, law } from "./invariants.ts";
import { answerTo, commandOf, partOf } from "./words.ts";
import type { Consumer, World } from "./world.ts";

/** How many of the newest consumers are asked; the older ones are zombies alike. */
const ASKED = 4;

/** What would become of the job at commands that must change nothing. The machine is pure, so asking is free. */
export function probe(world: World): void {
  if (world.forgotten) return;
  const { job } = world;
  const ended = isOver(job);
  const invariant = ended ? 1 : 3;
  if (job.status !== "queued") {
    const refused = ask(world, { type: "lease", token: "another" }) === null;
    law(invariant, refused, `no lease is granted while the job is ${job.status}`);
  }
  for (const consumer of world.consumers.slice(0, ASKED)) {
    if (consumer === world.holder) continue;
    law(invariant, isDeaf(world, consumer, world.now), "a stale token changes nothing");
  }
  unasked(world);
  if (ended) finalWord(world);
  if (job.status === "active" && world.holder !== null) duringAttempt(world, job, world.holder);
  earlyAlarm(world);
}

/** Called before time's decisions are applied: the machine itself must know that a lease is over. */
export function probeExpired({ job, holder, ...world }: World): void {
  if (holder === null || job.status !== "active" || world.now < job.lease.expiresAt) return;
  const deaf = isDeaf({ ...world, job, holder }, holder, world.now);
  law(3, deaf, "a token whose lease is over changes nothing");
}

function duringAttempt(world: World, job: Extract<Job, { status: "active" }>, holder: Consumer) {
  const over = isDeaf(world, holder, job.lease.expiresAt);
  law(3, over, "a token changes nothing from the moment its lease ends");
  for (const type of ["append", "complete"] as const) {
    const gap = ask(world, commandOf(type, holder, partOf(holder, "gap")));
    law(5, gap === null, "a part after a gap is refused");
  }
  if (holder.said.length === 0) return;
  const again = ask(world, commandOf("append", holder, partOf(holder, "again")));
  const unchanged = again?.events.length === 0 && again.job.appended === job.appended;
  law(5, unchanged, "a part that comes again is told to nobody");
}

/** An answer to what is not asked changes nothing: what was answered before, too. */
function unasked(world: World): void {
  const { job, log, spec } = world;
  for (const step of (spec.steps ?? []).keys()) {
    if (job.status === "waiting" && step === stepsDone(log)) continue;
    const heard = ask(world, answerTo(spec, step, true)) ?? ask(world, answerTo(spec, step, false));
    law(isOver(job) ? 1 : 3, heard === null, "an answer to what is not asked changes nothing");
  }
}

function finalWord(world: World): void {
  for (const command of [COMMANDS.cancel, COMMANDS.give_up]) {
    const result = ask(world, command);
    const same = result === null || isUnchanged(world.job, result);
    law(1, same, `${command.type} changes nothing of a job that has ended`);
  }
  const { status, seq } = world.job;
  const result = ask(world, COMMANDS.dead_letter);
  const same = result === null || (result.job.status === status && result.job.seq === seq);
  law(1, same && (result?.events.length ?? 0) === 0, "a letter tells nothing of a job that ended");
}

function earlyAlarm(world: World): void {
  if (world.now >= wakeAt(world.job)) return;
  const result = ask(world, COMMANDS.wake);
  const unchanged = result !== null && isUnchanged(world.job, result);
  law(2, unchanged, "an alarm that comes early changes nothing");
}

function isUnchanged(job: Job, result: Taken): boolean {
  const { status, seq } = result.job;
  const same = status === job.status && seq === job.seq && wakeAt(result.job) === wakeAt(job);
  return same && result.events.length === 0;
}

/** Whether whatever the consumer says is refused. */
function isDeaf(world: World, consumer: Consumer, at: number): boolean {
  const { token } = consumer;
  const words: Command[] = [
    commandOf("append", consumer, partOf(consumer, "next")),
    commandOf("append", consumer, partOf(consumer, "again")),
    commandOf("append", consumer, partOf(consumer, "none")),
    commandOf("complete", consumer, partOf(consumer, "next")),
    { ...COMMANDS.fail, token },
  ];
  return words.every((command) => ask(world, command, at) === null);
}

function ask({ machine, job, now }: World, command: Command, at = now): Taken | null {
  const result = machine.transition(job, command, at);
  return result.ok ? result : null;
}

import type { DeadLetter } from "../domain/dead-letter.ts";
import { deadLetters } from "../ledgers/dead-letter-stub.ts";
import { jobNamed } from "../job/job-stub.ts";
import { logFault } from "../log.ts";

/** A message of the dead-letter queue, and the job it is about. */
export type Notice = { job: string; message: Pick<Message, "ack" | "retry"> };

type Owed = Notice & { letter: DeadLetter };

/** Letters carried at a time: in UTF-16 each may be two megabytes, and a call takes 32 (platform limit). */
const AT_ONCE = 8;

/**
 * Writes a batch of dead letters down, and then lets their jobs fail.
 *
 * In that order, so that a job that says it failed can be found among the dead letters. Whatever breaks in between
 * is done again when the message comes again: the letter is the same, and it is written once.
 */
export async function writeDeadLetters(notices: Notice[], env: Env): Promise<void> {
  for (let at = 0; at < notices.length; at += AT_ONCE) {
    const some = notices.slice(at, at + AT_ONCE);
    const gathered = await Promise.all(some.map((notice) => gather(notice, env)));
    await write(
      gathered.filter((owed) => owed !== null),
      env,
    );
  }
}

/** The job's dead letter; null where there is none to be written. */
async function gather(notice: Notice, env: Env): Promise<Owed | null> {
  try {
    const given = await jobNamed(env, notice.job).giveUp();
    if (given.type === "letter") return { ...notice, letter: given.letter };
    if (given.type === "withdrawn") await deadLetters(env).remove(given.dlqId);
    notice.message.ack();
  } catch (error) {
    comeAgain("job.unreachable", notice, error);
  }
  return null;
}

async function write(owed: Owed[], env: Env): Promise<void> {
  if (owed.length === 0) return;
  try {
    await deadLetters(env).add(owed.map(({ letter }) => letter));
  } catch (error) {
    for (const notice of owed) comeAgain("dead_letter.unwritten", notice, error);
    return;
  }
  await Promise.all(owed.map((notice) => lastWord(notice, env)));
}

async function lastWord(notice: Owed, env: Env): Promise<void> {
  try {
    const stands = await jobNamed(env, notice.job).deadLettered();
    // Cancelled or deleted while its letter was being written: a letter of it would outlive what it may not.
    if (!stands) await deadLetters(env).remove(notice.letter.dlqId);
    notice.message.ack();
  } catch (error) {
    comeAgain("job.unreachable", notice, error);
  }
}

function comeAgain(fault: string, { job, message }: Notice, error: unknown): void {
  logFault(fault, { object: job }, error);
  message.retry();
}

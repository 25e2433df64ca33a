import type { OwnJob, LogPage } from "../job/job-rpc.ts";
import { pause } from "../pause.ts";

/** How often an object that does not answer is asked again, and after how long first, in milliseconds; it doubles. */
const MOST_FAILURES = 4;
const FIRST_BACK_OFF_MS = 100;

/** The job was deleted while it was followed: its last word will never come. */
export class JobDeleted extends Error {
  override name = "JobDeleted";
}

/**
 * The log after the cursor, a long text apart. An object that does not answer may be on its way: it is asked again for
 * some seconds. Throws JobDeleted, or what the object says where it cannot be reached for longer.
 */
export async function pageAfter(
  job: () => Promise<OwnJob>,
  cursor: number,
  gone: AbortSignal,
): Promise<LogPage> {
  const page = await reached(async () => (await job()).log(cursor, true), gone);
  if (page.type === "found") return page.value;
  throw new JobDeleted("the job is no more");
}

/** What an object says, with a fresh stub each time it is asked. Rejects as it does where it cannot be reached for some seconds. */
export async function reached<T>(ask: () => Promise<T>, gone: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (failures >= MOST_FAILURES || gone.aborted) throw error;
      await pause(FIRST_BACK_OFF_MS * 2 ** failures * (1 + Math.random()), gone);
    }
  }
}

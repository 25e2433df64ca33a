import type { JobRpc } from "../job/job-rpc.ts";
import { logFault } from "../log.ts";

/** An object, which may be away for a while: a job's, unless it says otherwise. */
export type Reachable<O = JobRpc> = {
  /** Of the object, for the log. */
  name: string;
  /** A fresh stub at every call: one that has thrown is broken for good. */
  job: () => O;
  now: () => number;
};

/** The first wait before a call to the object is made again, and the longest; it doubles. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/**
 * Calls the object, again and again for `forMs` if that fails: it may be reset under a deploy, and
 * what was done meanwhile must not be lost to that. Null: it could not be reached.
 */
export async function reach<T, O = JobRpc>(
  { name, job, now }: Reachable<O>,
  forMs: number,
  call: (object: O) => Promise<T>,
): Promise<T | null> {
  const until = now() + forMs;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    try {
      return await call(job());
    } catch (error) {
      if (now() + waitMs >= until) {
        logFault("job.unreachable", { object: name }, error);
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

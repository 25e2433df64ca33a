import type { JobRpc } from "../job/job-rpc.ts";
import { logFault } from "../log.ts";

/** A job's object, which may be away for a while. */
export type Reachable = {
  /** Of the object, for the log. */
  name: string;
  /** A fresh stub at every call: one that has thrown is broken for good. */
  job: () => JobRpc;
  now: () => number;
};

/** The first wait before a call to the job's object is made again, and the longest; it doubles. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/**
 * Calls the job's object, again and again for `forMs` if that fails: it may be reset under a deploy, and
 * what was done meanwhile must not be lost to that. Null: it could not be reached.
 */
export async function reach<T>(
  { name, job, now }: Reachable,
  forMs: number,
  call: (job: JobRpc) => Promise<T>,
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

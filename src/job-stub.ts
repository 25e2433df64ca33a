import type { JobRpc } from "./job-rpc.ts";

/** The job object of this name. Cheap: take a new one after a call has thrown, for that one is broken for good. */
export function jobNamed(env: Env, name: string): JobRpc {
  return env.JOBS.getByName(name);
}

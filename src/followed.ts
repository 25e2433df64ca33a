import type { Found, Frame } from "./job/job-rpc.ts";

/** A run of a log, and where it stood. */
export type LogRun = { lastSeq: number; ended: boolean; events: Frame[]; more: boolean };

/** A log that grows until it ends, as whoever follows it asks its object: a job's, or a batch's. */
export type FollowedLog<R extends LogRun = LogRun> = {
  /** A run after `after`. `textApart`: a long text is left out of the terminal event. */
  log(after: number, textApart?: boolean): Promise<Found<R>>;
  /** WebSocket upgrades only: `?after=` and `?format=`. */
  fetch(request: Request): Promise<Response>;
};

/** The same request, as an object is asked by one of this tenant. */
export function askedBy(tenant: string, request: Request): Request {
  const headers = new Headers(request.headers);
  headers.set("tenant", tenant);
  return new Request(request, { headers });
}

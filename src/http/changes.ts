import type { FollowedLog } from "../followed.ts";
import type { Found, OwnJob } from "../job/job-rpc.ts";
import { pause } from "../pause.ts";
import type { JobView } from "../schema/job.ts";
import { logSocket } from "./log-socket.ts";

/** What a reader waits for: any event, or any but text, for which nothing is sent out sooner. */
export type Awaited = "event" | "change";

/** How often a log is looked at whose object takes no more sockets, in milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/** One wait for something new in a log. */
type Wait = { log: () => Promise<FollowedLog>; after: number; awaits: Awaited; until: number };

/**
 * Resolves when the log goes on beyond `after`, it ends, the time is up, or the reader has gone. The wait is
 * a socket to its object, which may hibernate under it. Never rejects: whoever waits looks for itself.
 */
export async function somethingNew(wait: Wait, gone: AbortSignal): Promise<void> {
  const { log, after, awaits, until } = wait;
  if (gone.aborted) return;
  try {
    const socket = await logSocket(await log(), awaits === "event" ? "sse" : "poll", after);
    const forMs = until - Date.now();
    if (socket !== null) return await firstWord(socket, forMs, gone);
    // It takes no more sockets: whoever waits looks for itself, but not without a break.
    await pause(Math.min(forMs, LOOK_AGAIN_MS), gone);
  } catch {
    // The object was reset: that is as good a reason to look again as any.
  }
}

function firstWord(socket: WebSocket, forMs: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(), Math.max(0, forMs));
    const done = () => {
      clearTimeout(timer);
      gone.removeEventListener("abort", done);
      if (socket.readyState === WebSocket.OPEN) socket.close(1000, "Heard");
      resolve();
    };
    for (const word of ["message", "close", "error"] as const) {
      socket.addEventListener(word, done, { once: true });
    }
    gone.addEventListener("abort", done, { once: true });
    socket.accept();
    // It may have gone while the socket was opened.
    if (gone.aborted) done();
  });
}

/**
 * The job once it has ended, its text included; null if it does not in time, is deleted, or nobody waits any more. Never
 * rejects: a job that cannot be reached for a while may still end in time.
 */
export async function endInTime(
  job: () => Promise<OwnJob>,
  until: number,
  gone: AbortSignal,
): Promise<JobView | null> {
  for (;;) {
    const now = await readSoon(job);
    if (now !== null && now.type !== "found") return null;
    if (now !== null && !isOpen(now.value)) return now.value;
    if (Date.now() >= until || gone.aborted) return null;
    if (now === null) await pause(LOOK_AGAIN_MS, gone);
    else await somethingNew({ log: job, after: now.value.last_seq, awaits: "change", until }, gone);
  }
}

/** Null: it could not be reached. */
async function readSoon(job: () => Promise<OwnJob>): Promise<Found<JobView> | null> {
  try {
    return await (await job()).read(false);
  } catch {
    return null;
  }
}

/** Whether more will happen to it. */
export function isOpen({ status }: Pick<JobView, "status">): boolean {
  return status === "queued" || status === "active";
}

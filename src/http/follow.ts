import type { FollowedLog, LogRun } from "../followed.ts";
import type { Frame } from "../job/job-rpc.ts";
import { pause } from "../pause.ts";
import type { Allowance } from "./allowance.ts";
import { Inbox } from "./inbox.ts";
import { pageAfter } from "./log-page.ts";
import { logSocket } from "./log-socket.ts";

/** One reader's way through a log. */
export type Reading = {
  /** A fresh stub at every call: one that has thrown is broken for good. */
  log: () => Promise<FollowedLog>;
  /** The log after the cursor, if it was read already. */
  first?: LogRun | undefined;
  /** `seq` of the last event the reader has. */
  after: number;
  /** Shared by all that the reader's client follows by one connection. */
  allowance: Allowance;
};

/** How long the log's object is left alone after it has closed a socket and said nothing, in milliseconds. */
const QUIET_MS = 1_000;

/**
 * A log from the cursor on, and all that comes, until its terminal event: gapless, in order, nothing twice. The
 * first run may be empty: it says that there is such a log.
 *
 * The one engine behind every transport. What is already in the log is read page by page, at the pace of whoever
 * takes it. Then a socket to its object, which may hibernate under it, brings the rest as it comes. A reader that
 * falls behind goes back to pages, so what waits for it here stays small, and it slows nobody. A socket that is lost
 * (a deploy, a reset) is replaced. Whatever is given is given in the client's turn, which lasts until it asks for more.
 * Throws LogDeleted where the log is no more, and whatever its object says where that cannot be reached for a while.
 */
export async function* follow(reading: Reading, gone: AbortSignal): AsyncGenerator<Frame[]> {
  let cursor = reading.after;
  let { first } = reading;
  while (!gone.aborted) {
    const stand = yield* nextPage(reading, cursor, gone, first);
    if (stand === null) return;
    first = undefined;
    ({ cursor } = stand);
    if (stand.more) continue;
    if (stand.ended) return;
    const before = cursor;
    for await (const frames of live(reading, cursor, gone)) {
      yield frames;
      cursor = frames.at(-1)?.seq ?? cursor;
      if (frames.some(isLastWord)) return;
    }
    if (cursor === before) await pause(QUIET_MS * (1 + Math.random()), gone);
  }
}

/** Where a reader stands after a page. */
type Stand = { cursor: number; more: boolean; ended: boolean };

/** The next page. Null: the reader has gone before its turn came. Nothing of the page is held beyond the turn. */
async function* nextPage(
  { log, allowance }: Reading,
  after: number,
  gone: AbortSignal,
  first?: LogRun,
): AsyncGenerator<Frame[], Stand | null> {
  const endTurn = await allowance.turn();
  try {
    if (gone.aborted) return null;
    const { events, more, ended } = first ?? (await pageAfter(log, after, gone));
    const cursor = events.at(-1)?.seq ?? after;
    yield events;
    // Whoever read the first page has it for as long as the connection lives.
    events.length = 0;
    return { cursor, more, ended };
  } finally {
    endTurn();
  }
}

/** How the JSON of a terminal event begins. A batch's log may go on behind one, for readers who come later. */
const LAST_WORD = /^\{"type":"(?:completed|failed|cancelled)"/;

function isLastWord({ json }: Frame): boolean {
  return LAST_WORD.test(json);
}

/** What comes while it comes; ends when the socket closes, or the reader is behind. */
async function* live(
  { log, allowance }: Reading,
  after: number,
  gone: AbortSignal,
): AsyncGenerator<Frame[]> {
  const socket = await opened(log, after);
  if (socket === null) return;
  const inbox = new Inbox(socket, after, allowance);
  const leave = () => inbox.close();
  gone.addEventListener("abort", leave);
  // It may have gone while the socket was opened.
  if (gone.aborted) leave();
  try {
    while (await inbox.hasSome()) {
      const endTurn = await allowance.turn();
      try {
        yield inbox.take();
      } finally {
        endTurn();
      }
    }
  } finally {
    gone.removeEventListener("abort", leave);
    inbox.close();
    // What nobody will take is not held any more.
    inbox.take();
  }
}

/** Null where the object takes no socket now: the next page tells why. */
async function opened(log: Reading["log"], after: number): Promise<WebSocket | null> {
  try {
    return await logSocket(await log(), "sse", after);
  } catch {
    return null;
  }
}

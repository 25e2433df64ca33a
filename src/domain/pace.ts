/** When an attempt's text is passed on. Spans in milliseconds; `joinMs` applies while somebody watches or not. */
export type PaceSettings = { watchedJoinMs: number; unwatchedJoinMs: number; pulseMs: number };

export type PaceState = {
  watched: boolean;
  /** Since when text waits to be passed on; null if none does. */
  pendingSince: number | null;
  pendingChars: number;
  /** When text was last passed on; null if never. */
  lastTextAt: number | null;
  /** When the job was last spoken to at all. */
  lastReportAt: number;
  /** Whether it has been shown any text. */
  shown: boolean;
};

/** One row holds at most about this much text; more goes out at once. */
export const MAX_PART_CHARS = 65_536;

/**
 * When the waiting text goes out. While somebody watches: at once after a pause, else joined for a moment with what
 * follows. While nobody does: after a long wait, since every part is a billed row.
 */
export function textAt(state: PaceState, settings: PaceSettings): number {
  if (state.pendingSince === null) return Infinity;
  if (state.pendingChars >= MAX_PART_CHARS) return state.pendingSince;
  if (!state.watched) {
    const since = state.lastTextAt ?? state.pendingSince;
    return Math.max(state.pendingSince, since + settings.unwatchedJoinMs);
  }
  if (state.lastTextAt === null) return state.pendingSince;
  return Math.max(state.pendingSince, state.lastTextAt + settings.watchedJoinMs);
}

/**
 * When to ask whether the job was cancelled and whether anybody watches: regularly, and with the first text, for who
 * has just submitted a job has often just come to watch it.
 */
export function pulseAt(state: PaceState, settings: PaceSettings): number {
  if (state.pendingSince !== null && !state.shown) return state.pendingSince;
  return state.lastReportAt + settings.pulseMs;
}

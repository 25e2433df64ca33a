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
};

/** One row holds at most about this much text; more goes out at once. */
export const MAX_PART_CHARS = 65_536;

/**
 * When the waiting text goes out: at once after a pause, else joined with what follows for a while,
 * briefly while somebody watches and longer while nobody does, since every part is a billed row.
 */
export function textAt(state: PaceState, settings: PaceSettings): number {
  if (state.pendingSince === null) return Infinity;
  if (state.pendingChars >= MAX_PART_CHARS || state.lastTextAt === null) return state.pendingSince;
  const joinMs = state.watched ? settings.watchedJoinMs : settings.unwatchedJoinMs;
  return Math.max(state.pendingSince, state.lastTextAt + joinMs);
}

/** When to ask, with or without text, whether the job was cancelled and whether anybody watches. */
export function pulseAt(state: PaceState, settings: PaceSettings): number {
  return state.lastReportAt + settings.pulseMs;
}

/** From the word that a job may call to the call: the way of the word (permits.ts), and the job's lease (attempt.ts). */
export const USE_MS = 3_500;

/** How long permits may be kept for calls to come: by one who has a block of them, and by one to whom there is no limit. */
const BLOCK_LIFE_MS = 5_000;
const UNLIMITED_LIFE_MS = 10_000;

/** Where others wait, what one has ahead is kept from them: so long at least, or twice as long as the desk asks to be spared. */
const CONTESTED_LIFE_MS = 1_000;

/** How long what a lane's isolates heard of its being far from full may be relied upon. */
export const QUIET_MS = 10_000;

/** After so long nothing that was ever granted is still to be used. */
export const ALL_USED_MS = BLOCK_LIFE_MS + USE_MS;

/** How long a permit is kept for a job that was rung for: its message must come through its queue. */
export const RESERVED_MS = 30_000;

/** How long a block is kept. `restMs`: how long the desk asks to be spared while others wait; null: nobody does. */
export function lifeMs(unlimited: boolean, restMs: number | null): number {
  if (restMs !== null) return Math.min(BLOCK_LIFE_MS, Math.max(CONTESTED_LIFE_MS, 2 * restMs));
  return unlimited ? UNLIMITED_LIFE_MS : BLOCK_LIFE_MS;
}

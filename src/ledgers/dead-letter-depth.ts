import { within } from "../within.ts";
import { deadLetters } from "./dead-letter-stub.ts";

/** How long the ledger may take to answer, in milliseconds. */
const DEPTH_WITHIN_MS = 2_000;

/** How many dead letters there are; null if their ledger does not say. Never rejects. */
export async function deadLetterDepth(env: Env): Promise<number | null> {
  try {
    return await within(DEPTH_WITHIN_MS, deadLetters(env).depth());
  } catch {
    return null;
  }
}

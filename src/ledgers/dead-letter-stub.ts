import type { DeadLetterDesk } from "./dead-letter-rpc.ts";

/** One object holds all dead letters: they are rare, an operator asks about all of them, and it takes 10 GB. */
const NAME = "dead-letters";

export function deadLetters(env: Env): DeadLetterDesk {
  return env.LETTERS.getByName(NAME);
}

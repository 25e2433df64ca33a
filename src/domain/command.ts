import type { Usage } from "../schema/chat.ts";
import type { Failure } from "./failure.ts";
import type { Answer, Job, LogEvent } from "./job.ts";
import type { AttemptTold } from "./outbox.ts";

/** What a consumer knows of its call; null where the call did not get that far. */
export type CallReport = {
  ttftMs: number | null;
  providerMs: number | null;
  /** As the provider reported it. */
  usage: Usage | null;
  /** The provider had taken the call on, so it may bill it even where nothing came of it. */
  taken: boolean;
  /** Bytes of UTF-8 of all that came, text and tool calls; null where nobody is left to tell. */
  answerBytes: number | null;
};

/** Text of the running attempt. Parts are counted from 0, so one sent twice is seen to be the same. */
export type Part = { part: number; text: string; ttftMs: number | null };

export type Command =
  | { type: "lease"; token: string }
  | ({ type: "append"; token: string } & Part)
  | ({ type: "complete"; token: string; answer: Answer; report: CallReport } & Part)
  | { type: "fail"; token: string; failure: Failure; report: CallReport; jitter: number }
  /** The consumer of a stopped attempt tells what its call came to. */
  | { type: "account"; token: string; report: CallReport }
  /** The queue itself has given the job's message up. */
  | { type: "give_up" }
  /** The dead letter is written. */
  | { type: "dead_letter" }
  /** The job has come to an approval, and this is what it asks. */
  | { type: "ask"; message: string }
  /** What was asked is answered. `output`: the answer as later steps read it; `digest`: the same for the same answer. */
  | { type: "input"; requestId: string; approved: boolean; output: string; digest: string }
  | { type: "cancel"; reason: string }
  | { type: "delete" }
  /** An attempt at a delivery is over. */
  | ({ type: "settle"; jitter: number } & AttemptTold)
  /** A delivery is to be made once more. */
  | { type: "replay"; deliveryId: string }
  | { type: "wake"; jitter: number };

/** What is to be done once the job is stored. Each may be lost or repeated without harm: the alarm is the clock. */
export type Effect =
  | { type: "ring" }
  | { type: "dead_letter" }
  /** Something is owed to the webhook. */
  | { type: "deliver" }
  /** A delivery was given up. */
  | { type: "undelivered"; deliveryId: string }
  /** It may wait for this provider's permit, as of `since` (epoch milliseconds), and will never use one. */
  | { type: "withdraw"; provider: string; since: number }
  | { type: "purge" }
  | { type: "forget" };

export type Transition =
  | { ok: true; job: Job; events: LogEvent[]; effects: Effect[] }
  /** `fenced`: the lease is another's, or over. `not_due`: too early. `illegal`: not in this status. */
  | { ok: false; reason: "illegal" | "fenced" | "not_due" };

/** What concerns the webhook alone, in whatever status. */
const OF_THE_WEBHOOK = ["settle", "replay"] as const;

/** Every status lists every command it accepts; all the rest are illegal. */
export const ACCEPTS: Record<Job["status"], readonly Command["type"][]> = {
  queued: ["lease", "ask", "account", "give_up", "cancel", "wake", ...OF_THE_WEBHOOK],
  active: ["append", "complete", "fail", "account", "cancel", "wake", ...OF_THE_WEBHOOK],
  waiting: ["input", "account", "cancel", "wake", ...OF_THE_WEBHOOK],
  failing: ["account", "dead_letter", "cancel", "wake", ...OF_THE_WEBHOOK],
  completed: ["account", "delete", "wake", ...OF_THE_WEBHOOK],
  failed: ["account", "dead_letter", "delete", "wake", ...OF_THE_WEBHOOK],
  cancelled: ["account", "delete", "wake", ...OF_THE_WEBHOOK],
  purged: ["wake"],
};

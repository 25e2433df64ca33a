import type { Lane } from "./lane.ts";
import type { Served } from "./measured.ts";
import type { Amount } from "./permits.ts";

/**
 * A job that wants to call a provider. `since`: when it became due, so that of a tenant's jobs of one priority the first is first. `lastsMs`:
 * after so long its attempt is over, whatever has become of its consumer.
 */
export type Wish = {
  job: string;
  lane: Lane;
  tenant: string;
  tokens: number;
  since: number;
  /** 1 is soonest. A consumer of an older version does not say. */
  priority?: number | undefined;
  /** Absent: its consumer is of an older version, which tells no ends, so its place is kept for the beginning of its call only. */
  lastsMs?: number;
  /** It was its turn: its message was sent with a permit reserved. */
  rung?: boolean | undefined;
};

/** Which wish it is. */
export type WishKey = Pick<Wish, "job" | "lane" | "tenant" | "priority" | "since">;

/**
 * Permits for so many calls and tokens, for as long as `lifeMs` after they were asked for. An object of an older version counts no
 * calls: of its permits the rest is missing, and `id` is null where there is no limit.
 */
export type Permit = Amount & {
  id: string | null;
  lifeMs: number;
  /** What each of the calls may last at most. */
  lastsMs?: number;
  /** For so long it is enough to tell the end of a call together with something else. */
  quietMs?: number;
  /** Others wait: only jobs that were rung for may have what is ahead. */
  rung?: boolean;
};

/** What is left of permits that will not be used. */
export type Spent = { id: string; rest: Amount };

/** Of a permit, how many of its calls are under way or may still be made. */
export type Remaining = { id: string; calls: number };

/**
 * What became of permits. `tokens`: so many fewer were used than was foreseen; negative: more. That counts once, by this `id`,
 * however often it is told. `served`: calls that were answered. A consumer of an older version gives neither of the last two.
 */
export type News = {
  spent: Spent[];
  remaining: Remaining[];
  tokens: number;
  id?: string;
  served?: Served[];
};

/** What any attempt is over after: no consumer lives for longer (platform limit). */
export const LONGEST_MS = 900_000;

/**
 * What an object that has much to hear asks for: for `restMs` nothing more is said to it of a lane's jobs that were not rung for, or of
 * calls that are over; then all at once. Not there: it can hear everything.
 */
export type Spared = { restMs?: number };

/** `parked`: the job will be rung for when it is its turn. */
export type Verdict = { type: "granted"; permit: Permit } | ({ type: "parked" } & Spared);

import { MOST_SECONDS, type Prospect } from "./forecast.ts";
import { lineOf, LINES, type Lane, type Line } from "./lane.ts";
import { meanTokens, overtakenPerSecond, serviceTimesOf, type Measured } from "./measured.ts";
import { accrualOf } from "./meter.ts";
import type { Limits } from "./permits.ts";
import { meanServiceMs } from "./service-times.ts";
import { WEIGHTS } from "./turns.ts";

/** Whose line is looked at: a tenant's jobs of one lane and priority, at one provider. */
export type Place = { provider: string; lane: Lane; tenant: string; priority: number };

/** Where a job that is not called yet stands, and since when it could be. Epoch milliseconds. */
export type Waits = Place & { since: number };

/**
 * A tenant's parked jobs of a line and a priority in their order. `better`: how many of its jobs there go before all these.
 * `marks`: since when every `step`th is due, the first among them; `newest`: the last. Epoch milliseconds.
 */
export type OwnLine = {
  better: number;
  waiting: number;
  marks: number[];
  step: number;
  newest: number;
};

export const NOBODY_WAITS: OwnLine = { better: 0, waiting: 0, marks: [], step: 1, newest: 0 };

/** A provider's lines as one tenant's lane sees them. Plain data. */
export type Outlook = Pick<Prospect, "overtakenPerSecond" | "lane" | "permits" | "serviceMs"> & {
  line: OwnLine;
  /** Of the line's other tenants: how many jobs wait, and of how many tenants each so many. */
  others: { waiting: number; tenants: number }[];
  /** How many wait in each line, of all tenants. */
  parked: Record<Line, number>;
};

/** How many jobs of each line and tenant wait, and for how many tokens together. */
export type Waiting = { line: Line; tenant: string; jobs: number; tokens: number };

/** What a provider's object knows. */
export type Facts = {
  waiting: readonly Waiting[];
  line: OwnLine;
  limits: Limits;
  paused: boolean;
  blockedUntil: number;
  measured: Measured;
  standing: Prospect["lane"];
  /** How many calls of so many tokens may begin at once. */
  room: (tokens: number) => number;
};

/** Messages that a lane's consumers hold when all of them work (wrangler.toml; 250 is the platform's limit). */
const CONSUMERS: Record<Lane, number> = { high: 250, normal: 250, low: 100, long: 50 };

/** A paused provider goes on when somebody says so: until then the longest wait is told that ever is. */
const PAUSED_MS = MOST_SECONDS * 1_000;

/** How things look for a tenant's jobs in a lane. */
export function outlookOf(facts: Facts, place: Omit<Place, "provider">, now: number): Outlook {
  const { lane, tenant } = place;
  const { waiting, line, limits, measured, standing } = facts;
  const tokens = meanTokens(measured) ?? meanParkedTokens(waiting);
  const ofLine = waiting.filter((other) => other.line === lineOf(place));
  return {
    line,
    others: othersOf(ofLine.filter((other) => other.tenant !== tenant)),
    parked: parkedOf(waiting),
    overtakenPerSecond: overtakenPerSecond(measured, lane, now),
    lane: standing,
    permits: {
      perSecond: permitsPerSecond(limits, tokens),
      left: facts.room(tokens),
      blockedForMs: facts.paused ? PAUSED_MS : Math.max(0, facts.blockedUntil - now),
    },
    serviceMs: meanServiceMs(serviceTimesOf(measured, lane)),
  };
}

function meanParkedTokens(waiting: readonly Waiting[]): number {
  const jobs = waiting.reduce((sum, each) => sum + each.jobs, 0);
  return waiting.reduce((sum, each) => sum + each.tokens, 0) / Math.max(1, jobs);
}

/** Few entries even of many tenants: most of those have few jobs, and alike. */
function othersOf(others: readonly Waiting[]): Outlook["others"] {
  const tenants = new Map<number, number>();
  for (const { jobs } of others) tenants.set(jobs, (tenants.get(jobs) ?? 0) + 1);
  return [...tenants].map(([waiting, tenants]) => ({ waiting, tenants }));
}

function parkedOf(waiting: readonly Waiting[]): Record<Line, number> {
  const parked = { high: 0, normal: 0, low: 0, long: 0, long_low: 0 };
  for (const { line, jobs } of waiting) parked[line] += jobs;
  return parked;
}

/** Requests or tokens, whichever is fewer calls. */
function permitsPerSecond({ requests, tokens }: Limits, meanTokens: number): number | null {
  const ofRequests = requests === null ? Infinity : accrualOf(requests);
  const ofTokens = tokens === null ? Infinity : accrualOf(tokens) / Math.max(1, meanTokens);
  const least = Math.min(ofRequests, ofTokens);
  return least === Infinity ? null : least;
}

/** What one who asked for the outlook knows besides. */
export type Since = {
  /** Since when the job is due; Infinity: it is the newest. Epoch milliseconds. */
  since: number;
  /** When others of its place were submitted here of late: some of them are not in line yet. Epoch milliseconds. */
  arrivals: readonly number[];
  /** Messages in its lane's queue. `held`: those of calls under way are among them. */
  messages: { count: number; held: boolean };
  /** When the outlook was asked for. */
  askedAt: number;
};

/** What a job's start hangs on. */
export function prospectOf(
  outlook: Outlook,
  place: Omit<Place, "provider" | "tenant">,
  known: Since,
  dueAt: number,
  now: number,
): Prospect {
  const { line, permits } = outlook;
  const isCalled = line.waiting > 0 && known.since < (line.marks[0] ?? Infinity);
  const blockedForMs = permits.blockedForMs - Math.max(0, now - known.askedAt);
  return {
    ahead: isCalled ? 0 : aheadOf(outlook, place, known),
    overtakenPerSecond: outlook.overtakenPerSecond,
    // Whoever was due before the first of the line has been rung for: a place and a permit are kept for it.
    lane: isCalled ? { ...outlook.lane, running: 0 } : outlook.lane,
    permits: { ...permits, left: isCalled ? Infinity : permits.left, blockedForMs },
    serviceMs: outlook.serviceMs,
    dueInMs: dueAt - now,
  };
}

/**
 * How many go before it, as the turns are taken (turns.ts). Of its tenant those of a better priority, and of its own those due
 * sooner; of each other tenant of the line as many and one, if it has so many; of each other line as many as that has turns
 * meanwhile, by their weights. Jobs of all lines and tenants are taken to cost alike.
 */
function aheadOf(
  outlook: Outlook,
  place: Omit<Place, "provider" | "tenant">,
  known: Since,
): number {
  const { line, others, parked } = outlook;
  const its = lineOf(place);
  const own = line.better + before(line, known.since) + onTheWay(outlook, place.lane, known);
  const theirs = others.reduce(
    (sum, { waiting, tenants }) => sum + tenants * Math.min(waiting, own + 1),
    0,
  );
  const ofLine = own + theirs;
  const ofOthers = LINES.filter((other) => other !== its).map((other) =>
    Math.min(parked[other], Math.floor(((ofLine + 1) * WEIGHTS[other]) / WEIGHTS[its])),
  );
  return ofOthers.reduce((sum, jobs) => sum + jobs, ofLine);
}

/** How many of the line are due sooner; of a long one within half a step. */
function before({ waiting, marks, step, newest }: OwnLine, since: number): number {
  if (since > newest) return waiting;
  const passed = marks.filter((mark) => mark < since).length;
  return passed === 0 ? 0 : Math.min(waiting - 1, (passed - 1) * step + Math.ceil(step / 2));
}

/**
 * How many are due sooner and not in the line yet, for their messages are on the way. Of those that were submitted here, no
 * more than there are messages; where a lane's consumers are all at work, every message that none of them holds, whosever it is.
 * Since the queue was asked, all that were submitted here.
 */
function onTheWay({ line, lane }: Outlook, of: Lane, known: Since): number {
  const { since, arrivals, messages, askedAt } = known;
  if (line.waiting > 0 && since <= line.newest) return 0;
  const unheard = arrivals.filter((at) => line.waiting === 0 || at > line.newest);
  const counted = unheard.filter((at) => at < askedAt);
  const sooner = counted.filter((at) => at < since).length;
  const unasked = Math.max(0, messages.count - (messages.held ? lane.running : 0));
  const untaken = Math.max(0, messages.count - (messages.held ? CONSUMERS[of] : 0));
  const later = counted.length - sooner;
  const fresh = unheard.filter((at) => at >= askedAt && at < since).length;
  return Math.max(untaken - later, Math.min(sooner, unasked)) + fresh;
}

/** What a job's start hangs on. Spans in milliseconds from now. */
export type Prospect = {
  /** Jobs whose turn comes before its own. */
  ahead: number;
  /** How many jobs a second come that go before it though it was there first, by a tally of `OVERTAKING_HALF_LIFE_MS`. */
  overtakenPerSecond: number;
  lane: {
    /** How many of its jobs run. */
    running: number;
    /** How many may, side by side. */
    concurrency: number;
  };
  permits: {
    /** Jobs a second that the provider lets begin; null if nothing limits them. */
    perSecond: number | null;
    /** Of what may begin at once, how much is left. */
    left: number;
    /** Until any may begin: its limit was hit, or it is down. 0 or less if it is open. */
    blockedForMs: number;
  };
  /** How long a job of the lane holds its place, on average over its models. */
  serviceMs: number;
  /** Until the job itself may begin: it is scheduled, or waits for another attempt. 0 or less if it may. */
  dueInMs: number;
};

/** `position`: how many go before it. `seconds`: until it is likely to start, in whole ones. */
export type Forecast = { position: number; seconds: number };

/** Nobody is told of a longer wait: so far ahead nothing is known. */
export const MOST_SECONDS = 86_400;

/** Over an hour, for a batch of urgent jobs is no sign that another one follows. */
export const OVERTAKING_HALF_LIFE_MS = 3_600_000;

/** However many overtake, this part of what comes free is taken to be left for those who wait. */
const LEAST_SHARE = 0.5;

/**
 * When a job is likely to start. Two things hold it up, and the slower of them tells: places come free in its lane as often
 * as jobs end there (Little's law: `concurrency` of them in each `serviceMs`), and permits come at the provider's rate.
 *
 * A job that is not due yet is taken to find the line, when it is, as long as it is now.
 */
export function forecast(prospect: Prospect): Forecast {
  const blockedMs = Math.max(0, prospect.permits.blockedForMs);
  const seconds = Math.max(placeSeconds(prospect, blockedMs), permitSeconds(prospect));
  const until = (Math.max(0, prospect.dueInMs) + blockedMs) / 1_000;
  return {
    position: Math.max(0, Math.floor(prospect.ahead)),
    seconds: Math.min(MOST_SECONDS, Math.ceil(until + seconds)),
  };
}

/** From the end of a block until a place comes free for it. Whoever ends during the block leaves a place to those ahead. */
function placeSeconds(prospect: Prospect, blockedMs: number): number {
  const { lane, serviceMs } = prospect;
  const places = Math.max(1, lane.concurrency);
  const jobMs = Math.max(1, serviceMs);
  const running = Math.min(places, Math.max(0, lane.running));
  const ended = Math.min(running, (running * blockedMs) / jobMs);
  return turnSeconds(prospect, places - running + ended, (places / jobMs) * 1_000);
}

/** From the end of a block until a permit comes for it. */
function permitSeconds(prospect: Prospect): number {
  const { perSecond, left } = prospect.permits;
  return perSecond === null ? 0 : turnSeconds(prospect, left, perSecond);
}

/** Until its turn comes, where some of what it needs is there and more comes at this rate. */
function turnSeconds(prospect: Prospect, there: number, perSecond: number): number {
  const short = Math.max(0, prospect.ahead) + 1 - there;
  if (short <= 0) return 0;
  return short / Math.max(perSecond - prospect.overtakenPerSecond, perSecond * LEAST_SHARE);
}

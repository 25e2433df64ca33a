import { LANES, type Lane } from "./lane.ts";
import { NO_SERVICE_TIMES, observed, type ServiceTimes } from "./service-times.ts";
import { counted, NONE_COUNTED, perSecond, type Tally } from "./tally.ts";
import { OVERTAKING_HALF_LIFE_MS } from "./forecast.ts";
import { WEIGHTS } from "./turns.ts";

/** A call of a lane that was answered, and what it took. `tokens`: null where nobody knows. */
export type Served = { lane: Lane; model: string; ms: number; tokens: number | null };

/** What a lane's calls of one provider took, and how many there were of late. */
type LaneMeasured = {
  times: ServiceTimes;
  calls: Tally;
  tokens: Tally & { mean: number };
};

/** The same of each lane that had any. Plain data: it may be stored as it is. */
export type Measured = Readonly<Partial<Record<Lane, LaneMeasured>>>;

export const NOTHING_MEASURED: Measured = {};

/** After so long what a call used counts half. */
const TOKENS_HALF_LIFE_MS = 600_000;

const UNMEASURED: LaneMeasured = {
  times: NO_SERVICE_TIMES,
  calls: NONE_COUNTED,
  tokens: { ...NONE_COUNTED, mean: 0 },
};

/** With these calls. */
export function measured(before: Measured, served: readonly Served[], now: number): Measured {
  if (served.length === 0) return before;
  const after: Partial<Record<Lane, LaneMeasured>> = { ...before };
  for (const call of served) after[call.lane] = withCall(timesOf(after, call.lane), call, now);
  return after;
}

function withCall({ times, calls, tokens }: LaneMeasured, call: Served, now: number): LaneMeasured {
  return {
    times: observed(times, call.model, call.ms, now),
    calls: counted(calls, OVERTAKING_HALF_LIFE_MS, now),
    tokens: call.tokens === null ? tokens : averaged(tokens, call.tokens, now),
  };
}

function averaged({ mean, ...tally }: LaneMeasured["tokens"], value: number, now: number) {
  const next = counted(tally, TOKENS_HALF_LIFE_MS, now);
  return { ...next, mean: mean + (value - mean) / next.weight };
}

function timesOf(known: Measured, lane: Lane): LaneMeasured {
  return known[lane] ?? UNMEASURED;
}

/** What jobs of this lane took, by model. */
export function serviceTimesOf(known: Measured, lane: Lane): ServiceTimes {
  return timesOf(known, lane).times;
}

/** Tokens of a call of any lane, on average; null if none was told of. */
export function meanTokens(known: Measured): number | null {
  let [calls, all] = [0, 0];
  for (const { tokens } of Object.values(known)) {
    calls += tokens.weight;
    all += tokens.weight * tokens.mean;
  }
  return calls > 0 ? all / calls : null;
}

/** How many jobs a second are called of the lanes that go before this one. */
export function overtakenPerSecond(known: Measured, lane: Lane, now: number): number {
  return LANES.filter((other) => WEIGHTS[other] > WEIGHTS[lane])
    .map((other) => perSecond(timesOf(known, other).calls, OVERTAKING_HALF_LIFE_MS, now))
    .reduce((sum, rate) => sum + rate, 0);
}

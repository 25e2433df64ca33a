/** The way to one origin: who is on it, how quickly it answers, and how far turns are given out. Instants in epoch ms. */
export type Gate = {
  /** When each pass that was given out, and not yet back, expires. */
  passes: ReadonlyMap<string, number>;
  /** Moving average of what recent deliveries took; null before the first. */
  latencyMs: number | null;
  /** Passes given out at once, as far as trust goes: each quick answer adds one. */
  trusted: number;
  /** The last turn that was promised to somebody who waits. */
  lastTurnAt: number;
};

/** `cap`: passes at once. `passMs`: after so long a pass that was not given back is nobody's. */
export type GateRules = { cap: number; passMs: number };

export type Entry = { type: "enter" } | { type: "wait"; delaySeconds: number };

/** An origin that takes longer than this gets few passes: those it has are held for long, and consumers with them. */
export const SLOW_MS = 5_000;
export const SLOW_CAP = 2;

/** Of an origin nothing is known of: a gate forgets, and what it forgot may hang. */
export const OPEN_GATE: Gate = {
  passes: new Map(),
  latencyMs: null,
  trusted: SLOW_CAP,
  lastTurnAt: 0,
};

/** The newest delivery's weight in the average: two quick answers after a hang, and the origin is no longer slow. */
const WEIGHT = 0.3;

/** What a delivery is taken to last before any has ended. */
const UNKNOWN_LATENCY_MS = 1_000;

/** Bounds of a wait. Above: later a gate has long forgotten whom it promised what. */
const LEAST_WAIT_SECONDS = 1;
export const MOST_WAIT_SECONDS = 900;

/** A wait is prolonged by up to this part of it, so that those who were refused together do not come back together. */
const SPREAD = 0.2;

/** The furthest turn; with the whole spread it is the longest wait, so those furthest back are still spread. */
const FURTHEST_TURN_MS = (MOST_WAIT_SECONDS * 1_000) / (1 + SPREAD);

/**
 * Asks for a pass. One that is out already is prolonged: whoever asks again did not hear the answer. Who has to wait is told
 * when its turn is likely: turns are as far apart as passes are likely to come back. They bind nobody; a place that is free
 * is given to whoever asks. `jitter`: a random number in [0, 1).
 */
export function enter(
  gate: Gate,
  pass: string,
  rules: GateRules,
  now: number,
  jitter: number,
): { gate: Gate; entry: Entry } {
  const passes = livePasses(gate, now);
  const cap = capOf(gate, rules);
  if (passes.has(pass) || passes.size < cap) {
    const entered = new Map(passes).set(pass, now + rules.passMs);
    return { gate: { ...gate, passes: entered }, entry: { type: "enter" } };
  }
  const apartMs = (gate.latencyMs ?? UNKNOWN_LATENCY_MS) / cap;
  const turnMs = Math.min(FURTHEST_TURN_MS, Math.max(0, gate.lastTurnAt - now) + apartMs);
  const seconds = Math.ceil((turnMs * (1 + SPREAD * jitter)) / 1_000);
  const delaySeconds = Math.min(MOST_WAIT_SECONDS, Math.max(LEAST_WAIT_SECONDS, seconds));
  const waiting = { ...gate, passes, lastTurnAt: now + turnMs };
  return { gate: waiting, entry: { type: "wait", delaySeconds } };
}

/**
 * Gives a pass back, and says what the delivery took; null: nothing was sent. A pass that the gate
 * has forgotten says so all the same: it was evicted while the delivery hung.
 */
export function leave(gate: Gate, pass: string, latencyMs: number | null, now: number): Gate {
  const passes = new Map(livePasses(gate, now));
  passes.delete(pass);
  if (latencyMs === null) return { ...gate, passes };
  const before = gate.latencyMs ?? latencyMs;
  const trusted = latencyMs > SLOW_MS ? SLOW_CAP : gate.trusted + 1;
  return { ...gate, passes, trusted, latencyMs: before + WEIGHT * (latencyMs - before) };
}

function livePasses({ passes }: Gate, now: number): ReadonlyMap<string, number> {
  return new Map([...passes].filter(([, expiresAt]) => expiresAt > now));
}

function capOf({ latencyMs, trusted }: Gate, { cap }: GateRules): number {
  return Math.min(cap, latencyMs !== null && latencyMs > SLOW_MS ? SLOW_CAP : trusted);
}

import { forecast, OVERTAKING_HALF_LIFE_MS, type Forecast } from "../../src/domain/forecast.ts";
import { meanServiceMs, NO_SERVICE_TIMES, observed } from "../../src/domain/service-times.ts";
import { counted, NONE_COUNTED, perSecond } from "../../src/domain/tally.ts";
import { seeded } from "../support/random.ts";
import { DAY, HOUR, MINUTE, SECOND } from "./fixtures.ts";

/** `perSecond`: what the provider lets begin. `slow`: how many of the jobs go to the slower model. */
type Part = { name: string; from: number; perSecond: number; slow: number };

/** Instants in milliseconds of the day. */
const PARTS: readonly Part[] = [
  { name: "night, slow jobs", from: 0, perSecond: 20, slow: 0.8 },
  { name: "morning", from: 6 * HOUR, perSecond: 4, slow: 0.25 },
  { name: "few permits", from: 11 * HOUR, perSecond: 0.9, slow: 0.25 },
  { name: "afternoon", from: 13 * HOUR, perSecond: 4, slow: 0.25 },
  { name: "outage", from: 15 * HOUR, perSecond: 4, slow: 0.25 },
  { name: "many permits", from: 15.5 * HOUR, perSecond: 20, slow: 0.4 },
  { name: "evening", from: 19 * HOUR, perSecond: 2, slow: 0.25 },
];

/** The provider answers every call with 429, and asks for half a minute. */
const OUTAGE = { from: 15 * HOUR + 5 * MINUTE, to: 15 * HOUR + 13 * MINUTE };
const RETRY_AFTER_MS = 30 * SECOND;
const REFUSAL_MS = 300;

/** Places in the lane, and permits that may be saved up. */
const CONCURRENCY = 50;
const BURST = 20;

/** Log-normal, `sigma` of the logarithm. */
const MODELS = {
  fast: { meanMs: 4 * SECOND, sigma: 0.6 },
  slow: { meanMs: 20 * SECOND, sigma: 0.8 },
};

/** Jobs a second around the clock, at its busiest, and how many are submitted at once, at times. */
const QUIET = 0.08;
const BUSY = 0.75;
const BATCHES = 36;
const LARGEST_BATCH = 1_000;
/** Of all jobs. Urgent ones overtake the others; scheduled ones are to begin in up to twenty minutes. */
const URGENT = 0.1;
const SCHEDULED = 0.04;
const LATEST_MS = 20 * MINUTE;
/** Of all answers: they break, and the job stands in line again after its back-off. */
const BROKEN = 0.03;
const BACK_OFF_MS = 5 * SECOND;

export type Submission = {
  at: number;
  dueAt: number;
  urgent: boolean;
  model: keyof typeof MODELS;
  serviceMs: number;
  breaks: boolean;
};

/** What a job was told at its submission, and what came true. */
export type Fate = { part: string; submission: Submission; told: Forecast; waitedSeconds: number };

/** What becomes of a job that holds a place. */
type End = "answered" | "broken" | "refused";
type Running = { fate: Fate; at: number; end: End };

function partAt(now: number): Part {
  return PARTS.findLast(({ from }) => from <= now) ?? (PARTS[0] as Part);
}

/** A day's submissions in their order: a curve with its top at noon, and batches at any time. */
export function submissionsOf(seed: number): Submission[] {
  const random = seeded(seed);
  const day: Submission[] = [];
  for (let at = 0; at < DAY; at += (-Math.log(1 - random()) / BUSY) * SECOND) {
    const rate = QUIET + (BUSY - QUIET) * Math.sin((Math.PI * at) / DAY) ** 4;
    if (random() * BUSY < rate) day.push(submission(at, random() < URGENT, random));
  }
  for (let batch = 0; batch < BATCHES; batch++) {
    const at = random() * DAY;
    const size = Math.ceil(random() ** 2 * LARGEST_BATCH);
    const urgent = random() < URGENT;
    for (let job = 0; job < size; job++) day.push(submission(at, urgent, random));
  }
  return day.toSorted((a, b) => a.at - b.at);
}

function submission(at: number, urgent: boolean, random: () => number): Submission {
  const model = random() < partAt(at).slow ? "slow" : "fast";
  const { meanMs, sigma } = MODELS[model];
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return {
    at,
    dueAt: random() < SCHEDULED ? at + random() * LATEST_MS : at,
    urgent,
    model,
    serviceMs: meanMs * Math.exp(sigma * normal - sigma ** 2 / 2),
    breaks: random() < BROKEN,
  };
}

/** What a day's jobs were told, and what came true. `heardEveryMs`: how old what the estimate knows of the line may be. */
export function lived(submissions: readonly Submission[], heardEveryMs = 0): Fate[] {
  const lane = new Lane(heardEveryMs);
  const fates = submissions.map((submission) => {
    lane.live(submission.at);
    return lane.submit(submission);
  });
  lane.live(Infinity);
  return fates;
}

/** What is told of the line at once. */
type Heard = {
  at: number;
  urgent: number;
  patient: number;
  running: number;
  left: number;
  blockedUntil: number;
};

/** A lane and its provider. Whoever is due stands in line; its head begins once there are a place and a permit. */
class Lane {
  #now = 0;
  #line: { urgent: Fate[]; patient: Fate[] } = { urgent: [], patient: [] };
  #running = new Agenda<Running>();
  #later = new Agenda<{ fate: Fate; at: number }>();
  #left = BURST;
  #blockedUntil = 0;
  /** What the estimate knows. */
  readonly #heardEveryMs: number;
  #heard: Heard | null = null;
  #times = NO_SERVICE_TIMES;
  #urgent = NONE_COUNTED;

  constructor(heardEveryMs: number) {
    this.#heardEveryMs = heardEveryMs;
  }

  submit(submission: Submission): Fate {
    const told = this.#forecast(submission);
    const fate = { part: partAt(this.#now).name, submission, told, waitedSeconds: Number.NaN };
    if (submission.urgent) this.#urgent = counted(this.#urgent, OVERTAKING_HALF_LIFE_MS, this.#now);
    this.#later.add({ fate, at: submission.dueAt });
    this.live(this.#now);
    return fate;
  }

  /** Lives until `until`: whoever is due joins, who is done ends, who may begins. */
  live(until: number): void {
    for (;;) {
      const [dueAt, endsAt, startsAt] = [this.#later.at, this.#running.at, this.#nextStart()];
      const next = Math.min(dueAt, endsAt, startsAt);
      if (next > until || next === Infinity) break;
      this.#pass(next);
      if (dueAt === next) this.#join(this.#later.next().fate);
      else if (endsAt === next) this.#end(this.#running.next());
      else this.#begin();
    }
    if (until !== Infinity) this.#pass(until);
  }

  #forecast({ urgent, dueAt }: Submission): Forecast {
    const heard = this.#hear();
    return forecast({
      ahead: heard.urgent + (urgent ? 0 : heard.patient),
      overtakenPerSecond: urgent ? 0 : perSecond(this.#urgent, OVERTAKING_HALF_LIFE_MS, this.#now),
      lane: { running: heard.running, concurrency: CONCURRENCY },
      permits: {
        perSecond: partAt(this.#now).perSecond,
        left: heard.left,
        blockedForMs: heard.blockedUntil - this.#now,
      },
      serviceMs: meanServiceMs(this.#times),
      dueInMs: dueAt - this.#now,
    });
  }

  #hear(): Heard {
    if (this.#heard !== null && this.#now - this.#heard.at < this.#heardEveryMs) return this.#heard;
    this.#heard = {
      at: this.#now,
      urgent: this.#line.urgent.length,
      patient: this.#line.patient.length,
      running: this.#running.size,
      left: this.#left,
      blockedUntil: this.#blockedUntil,
    };
    return this.#heard;
  }

  #nextStart(): number {
    const { urgent, patient } = this.#line;
    if (urgent.length + patient.length === 0 || this.#running.size >= CONCURRENCY) return Infinity;
    const permitMs = (Math.max(0, 1 - this.#left) / partAt(this.#now).perSecond) * SECOND;
    return Math.max(this.#now, this.#blockedUntil, this.#now + permitMs);
  }

  #pass(until: number): void {
    const permits = ((until - this.#now) / SECOND) * partAt(this.#now).perSecond;
    this.#left = Math.min(BURST, this.#left + permits);
    this.#now = until;
  }

  #join(fate: Fate): void {
    this.#lineOf(fate).push(fate);
  }

  #lineOf({ submission }: Fate): Fate[] {
    return submission.urgent ? this.#line.urgent : this.#line.patient;
  }

  #begin(): void {
    const fate = (this.#line.urgent.shift() ?? this.#line.patient.shift()) as Fate;
    this.#left = Math.max(0, this.#left - 1);
    if (this.#now >= OUTAGE.from && this.#now < OUTAGE.to) {
      this.#running.add({ fate, at: this.#now + REFUSAL_MS, end: "refused" });
      return;
    }
    const { at, serviceMs, breaks } = fate.submission;
    const broken = breaks && Number.isNaN(fate.waitedSeconds);
    if (Number.isNaN(fate.waitedSeconds)) fate.waitedSeconds = (this.#now - at) / SECOND;
    const end = broken ? "broken" : "answered";
    this.#running.add({ fate, at: this.#now + serviceMs, end });
  }

  #end({ fate, end }: Running): void {
    switch (end) {
      case "answered":
        this.#times = observed(
          this.#times,
          fate.submission.model,
          fate.submission.serviceMs,
          this.#now,
        );
        return;
      case "broken":
        return this.#later.add({ fate, at: this.#now + BACK_OFF_MS });
      case "refused":
        this.#blockedUntil = this.#now + RETRY_AFTER_MS;
        this.#lineOf(fate).unshift(fate);
    }
  }
}

/** What is to come, in the order of its instants. */
class Agenda<T extends { at: number }> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** When the next is; never, if there is none. */
  get at(): number {
    return this.#entries[0]?.at ?? Infinity;
  }

  add(entry: T): void {
    const behind = this.#entries.findIndex(({ at }) => at > entry.at);
    this.#entries.splice(behind === -1 ? this.size : behind, 0, entry);
  }

  next(): T {
    return this.#entries.shift() as T;
  }
}

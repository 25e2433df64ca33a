import type { Config } from "../settings/config.ts";
import type { CallReport } from "../domain/command.ts";
import { classify, wasTaken } from "../domain/failure.ts";
import type { Directive, Grant, JobRpc, Leased, Settlement } from "../job/job-rpc.ts";
import type { CallEnd, Held, Permits } from "./permits.ts";
import type { CallOutcome } from "../provider/answer.ts";
import { reach, type Reachable } from "./reach.ts";
import { Relay } from "./relay.ts";
import type { Work } from "./work.ts";
import type { Needs } from "../schema/message.ts";

export type AttemptPorts = Reachable & {
  work: Work;
  config: Config;
  permits: Permits;
  /** As its message said; null: it did not. */
  needs: Needs | null;
};

/** Providers to be asked before a message is let go: a job has five models at most, and its route only goes on. */
const MOST_PROVIDERS = 5;

/** For so long a consumer goes on with a job's further steps: the last may take 600 s, and nobody lives longer than 900 (platform limit). */
const GOES_ON_MS = 240_000;

/** How long a lease is asked for, in milliseconds. Without one there is nothing to lose: the message comes again. */
const ASKING_MS = 1_500;

/**
 * Carries out one attempt at a job, and where that has finished a step, the steps that follow: each as if its own message
 * had come. What is too long for one consumer goes on by the message.
 */
export async function runAttempts(ports: AttemptPorts): Promise<Settlement> {
  const until = ports.now() + GOES_ON_MS;
  let settlement = await runAttempt(ports);
  while (settlement.type === "retry" && settlement.goOn === true && ports.now() < until) {
    settlement = await runAttempt({ ...ports, needs: settlement.needs ?? null });
  }
  return settlement;
}

/**
 * Carries out one attempt at a job, if its provider permits a call and then the job grants a lease. In this order, so a
 * job that waits for a permit has begun nothing, and its message is settled.
 *
 * Holds no policy: the job decides whether there is an attempt, whether it goes on, and what its end means.
 * Never throws. If the job cannot be reached, its lease runs out and its alarm moves it on.
 */
export async function runAttempt(ports: AttemptPorts): Promise<Settlement> {
  const token = crypto.randomUUID();
  let { needs } = ports;
  for (let asked = 0; asked <= MOST_PROVIDERS; asked++) {
    const held = needs === null ? null : await ports.permits.ask(needs);
    if (needs !== null && held === null) return { type: "ack" };
    const provider = held?.provider ?? null;
    const grant = await reach(ports, ASKING_MS, (job) => job.lease(token, provider, true));
    if (grant?.type === "leased" && isUnderstood(grant)) {
      return leasedFor(grant, held, token, ports);
    }
    if (held !== null) await ports.permits.giveBack(held);
    if (grant?.type === "leased") return { type: "ack" };
    if (grant?.type !== "elsewhere") return withoutLease(grant);
    ({ needs } = grant);
  }
  return { type: "ack" };
}

/** A job's object of a version without steps would have them called as if they were one prompt. Its lease runs out. */
function isUnderstood({ request, step }: Leased): boolean {
  return (request.steps === undefined) === (step === undefined);
}

/** A permit that is not needed after all goes back: the step that it was for is finished, and this one calls no model. */
async function leasedFor(
  lease: Leased,
  held: Held | null,
  token: string,
  ports: AttemptPorts,
): Promise<Settlement> {
  const isUsed = held === null || lease.route.provider === held.provider;
  if (isUsed) return callUnder(held, lease, token, ports);
  await ports.permits.giveBack(held);
  return callUnder(null, lease, token, ports);
}

function withoutLease(grant: Exclude<Grant, Leased | { type: "elsewhere" }> | null): Settlement {
  if (grant === null) return { type: "retry", delaySeconds: 10 };
  return grant.type === "wait"
    ? { type: "retry", delaySeconds: grant.delaySeconds }
    : { type: "ack" };
}

/** `held`: null where the job's object is of a version that asks for none. The job hears of the end first. */
async function callUnder(
  held: Held | null,
  lease: Leased,
  token: string,
  ports: AttemptPorts,
): Promise<Settlement> {
  const { settlement, end } = await callAndReport(lease, token, ports);
  if (held !== null) await ports.permits.settle(held, end);
  return settlement;
}

type Called = { settlement: Settlement; end: CallEnd };

async function callAndReport(lease: Leased, token: string, ports: AttemptPorts): Promise<Called> {
  const { config, now } = ports;
  const stop = new AbortController();
  const startedAt = now();
  const relay = new Relay(
    {
      watchedJoinMs: config.RELAY_JOIN_MS,
      unwatchedJoinMs: config.UNWATCHED_JOIN_MS,
      pulseMs: config.PULSE_MS,
    },
    lease.watched,
    {
      report: (part) => heard(ports, (job) => job.append(token, part)),
      pulse: (waiting) => heard(ports, (job) => job.pulse(token, waiting)),
      onStop: () => stop.abort(),
      now,
    },
  );
  const outcome = await ports.work(lease, (text) => relay.push(text), stop.signal);
  const providerMs = now() - startedAt;
  const rest = await relay.close();
  const callReport: CallReport = {
    ttftMs: rest.ttftMs,
    providerMs,
    usage: outcome.usage,
    taken: outcome.ok || outcome.begun || wasTaken(outcome.error),
    answerBytes: outcome.answerBytes,
  };
  const end = endOf(lease, outcome, callReport);
  if (stop.signal.aborted) return { settlement: await accountFor(callReport, token, ports), end };
  // What the job's budget has paid for is kept.
  const isKept = !outcome.ok && outcome.error.kind === "budget" && rest.text !== "";
  if (isKept) await heard(ports, (job) => job.append(token, rest));
  const told = await reach(ports, leaseMs(ports), (job) =>
    outcome.ok
      ? job.complete(token, rest, outcome.answer, callReport)
      : job.fail(token, classify(outcome.error), callReport),
  );
  return { settlement: told ?? { type: "ack" }, end };
}

/** What others have to know of a call. One that the provider did not take on has used nothing. */
function endOf({ route }: Leased, outcome: CallOutcome, report: CallReport): CallEnd {
  const { taken, usage } = report;
  const limited = !outcome.ok && outcome.error.kind === "status" && outcome.error.status === 429;
  const used = taken ? (usage?.total_tokens ?? null) : 0;
  const servedMs = outcome.ok ? report.providerMs : null;
  const end = { model: route.model, used, limited, servedMs };
  if (outcome.learned !== undefined) return { ...end, learned: outcome.learned };
  if (outcome.ok || outcome.error.kind !== "status") return end;
  const { retryAfterMs } = outcome.error;
  return { ...end, learned: { requests: null, tokens: null, retryAfterMs } };
}

/** Stopped: what was said is void, but what the call came to is not. */
async function accountFor(
  report: CallReport,
  token: string,
  ports: AttemptPorts,
): Promise<Settlement> {
  if (report.usage !== null || !report.taken) {
    await reach(ports, ASKING_MS, (job) => job.account(token, report));
  }
  return { type: "ack" };
}

/** The job's word. Without one for as long as a lease can live, the attempt is over. */
async function heard(
  ports: AttemptPorts,
  say: (job: JobRpc) => Promise<Directive>,
): Promise<Directive> {
  return (await reach(ports, leaseMs(ports), say)) ?? { go: false, watched: false };
}

/** Longer than this a lease cannot live without being renewed, so there is no use in asking on. */
function leaseMs({ config }: AttemptPorts): number {
  return config.LEASE_SECONDS * 1_000;
}

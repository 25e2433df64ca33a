import type { Config } from "./config.ts";
import type { CallReport } from "./domain/command.ts";
import { classify, wasTaken } from "./domain/failure.ts";
import type { Directive, JobRpc, Leased, Settlement } from "./job-rpc.ts";
import type { CallModel } from "./provider/call.ts";
import { reach, type Reachable } from "./reach.ts";
import { Relay } from "./relay.ts";

export type AttemptPorts = Reachable & { model: CallModel; config: Config };

/** How long a lease is asked for, in milliseconds. Without one there is nothing to lose: the message comes again. */
const ASKING_MS = 1_500;

/**
 * Carries out one attempt at a job, if the job grants a lease.
 *
 * Holds no policy: the job decides whether there is an attempt, whether it goes on, and what its end means.
 * Never throws. If the job cannot be reached, its lease runs out and its alarm moves it on.
 */
export async function runAttempt(ports: AttemptPorts): Promise<Settlement> {
  const token = crypto.randomUUID();
  const grant = await reach(ports, ASKING_MS, (job) => job.lease(token));
  if (grant === null) return { type: "retry", delaySeconds: 10 };
  switch (grant.type) {
    case "ignore":
      return { type: "ack" };
    case "wait":
      return { type: "retry", delaySeconds: grant.delaySeconds };
    case "leased":
      return callAndReport(grant, token, ports);
  }
}

async function callAndReport(
  lease: Leased,
  token: string,
  ports: AttemptPorts,
): Promise<Settlement> {
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
  const outcome = await ports.model(lease, (text) => relay.push(text), stop.signal);
  const providerMs = now() - startedAt;
  const rest = await relay.close();
  const callReport: CallReport = {
    ttftMs: rest.ttftMs,
    providerMs,
    usage: outcome.usage,
    taken: outcome.ok || outcome.begun || wasTaken(outcome.error),
    answerBytes: outcome.answerBytes,
  };
  if (stop.signal.aborted) return accountFor(callReport, token, ports);
  // What the job's budget has paid for is kept.
  const isKept = !outcome.ok && outcome.error.kind === "budget" && rest.text !== "";
  if (isKept) await heard(ports, (job) => job.append(token, rest));
  const told = await reach(ports, leaseMs(ports), (job) =>
    outcome.ok
      ? job.complete(token, rest, outcome.answer, callReport)
      : job.fail(token, classify(outcome.error), callReport),
  );
  return told ?? { type: "ack" };
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

import type { Context } from "hono";

import { BoundedMap } from "../bounded-map.ts";
import { forecast } from "../domain/forecast.ts";
import { prospectOf, type Outlook, type Place, type Since, type Waits } from "../domain/outlook.ts";
import { foreseenView } from "../domain/view.ts";
import type { Found, Seen, Submitted } from "../job/job-rpc.ts";
import { providerNamed } from "../ledgers/provider-stub.ts";
import { logFault } from "../log.ts";
import { pause } from "../pause.ts";
import { messagesIn } from "../queues.ts";
import type { JobView } from "../schema/job.ts";
import { within } from "../within.ts";
import type { App } from "./context.ts";

/** A line is asked about no more often than this by one isolate, however many read its jobs. */
const FRESH_MS = 1_000;

/** So old it is told to whoever cannot wait, and so old where its provider does not answer. */
const USABLE_MS = 10_000;
const LAST_KNOWN_MS = 60_000;

/** How long a provider's object may take. Somebody waits for it, and it is an estimate. */
const ASK_WITHIN_MS = 500;

/** How often it is looked whether another request has its answer. */
const LOOK_AGAIN_MS = 10;

/** How long a submission is remembered, and how many are: by then a job is in line, or nobody counts any more. */
const ARRIVAL_MS = 10_000;
const MOST_ARRIVALS = 2_000;

type Heard = { outlook: Outlook; messages: Since["messages"]; askedAt: number };

/** What this isolate knows of a line. Values only: a promise must not be shared between requests. */
type Known = { heard: Heard | null; askedAt: number; asking: boolean; arrivals: number[] };

const lines = new BoundedMap<string, Known>(1_000);

/**
 * Sees to it that something is known of the line a job of this place waits in. Never rejects, and takes no longer than
 * ASK_WITHIN_MS: without an answer the last one is told, or that nobody is in line.
 *
 * `patient`: false where the answer is of use only if it comes by itself: what is known may be USABLE_MS old then.
 */
export async function hearOfLine(c: Context<App>, place: Place, patient: boolean): Promise<void> {
  const line = lineAt(place);
  const now = Date.now();
  const isUsable = line.heard !== null && now - line.heard.askedAt < USABLE_MS;
  if (now - line.askedAt < FRESH_MS) return isUsable ? undefined : heardByOther(line);
  line.askedAt = now;
  line.asking = true;
  // A consumer that awaits its attempts holds their messages; one that does not has settled them (config.ts).
  const asked = ask(c.env, place, line, c.get("config").ATTEMPTS === "awaited");
  c.executionCtx.waitUntil(asked);
  if (patient || !isUsable) await asked;
}

/** A submission as it is answered. Those it is followed by are told that it is before them. */
export async function foreseenSubmission(
  c: Context<App>,
  submitted: Submitted,
): Promise<Submitted> {
  if (!("view" in submitted) || submitted.waits === undefined) return submitted;
  const { view, waits } = submitted;
  await hearOfLine(c, waits, false);
  if (submitted.type === "replayed") return { ...submitted, view: foreseen(view, waits) };
  const told = foreseen(view, waits, Infinity);
  if (waits.since <= Date.now()) arrived(lineAt(waits), waits.since);
  return { ...submitted, view: told };
}

/** A job that is read, as it is shown. */
export async function foreseenJob(c: Context<App>, seen: Seen): Promise<Found<JobView>> {
  if (seen.type !== "found" || seen.waits === undefined) return seen;
  await hearOfLine(c, seen.waits, true);
  return { type: "found", value: foreseen(seen.value, seen.waits) };
}

function foreseen(view: JobView, waits: Waits, since = waits.since): JobView {
  const { heard, arrivals } = lineAt(waits);
  const now = Date.now();
  if (heard === null || now - heard.askedAt > LAST_KNOWN_MS) return view;
  const known = { ...heard, since, arrivals: arrivals.filter((at) => at > now - ARRIVAL_MS) };
  return foreseenView(view, forecast(prospectOf(heard.outlook, waits, known, waits.since, now)));
}

function arrived({ arrivals }: Known, at: number): void {
  arrivals.push(at);
  if (arrivals.length > MOST_ARRIVALS) arrivals.shift();
}

function lineAt({ provider, lane, priority, tenant }: Place): Known {
  const key = `${lane} ${priority} ${provider} ${tenant}`;
  const known = lines.get(key) ?? { heard: null, askedAt: 0, asking: false, arrivals: [] };
  lines.set(key, known);
  return known;
}

/** Never rejects. A queue that does not say how long it is counts as empty. */
async function ask(env: Env, place: Place, line: Known, held: boolean): Promise<void> {
  const { askedAt } = line;
  const { provider, ...asked } = place;
  try {
    const [outlook, count] = await Promise.all([
      within(ASK_WITHIN_MS, providerNamed(env, provider).outlook(asked)),
      within(ASK_WITHIN_MS, messagesIn(env, place.lane)).catch(() => 0),
    ]);
    line.heard = { outlook, messages: { count, held }, askedAt };
  } catch (error) {
    logFault("line.unknown", { provider }, error);
  } finally {
    line.asking = false;
  }
}

/** Waits until whoever asks has an answer: a burst of submissions is one question. */
async function heardByOther(line: Known): Promise<void> {
  const never = new AbortController().signal;
  for (let waitedMs = 0; line.asking && waitedMs < ASK_WITHIN_MS; waitedMs += LOOK_AGAIN_MS) {
    await pause(LOOK_AGAIN_MS, never);
  }
}

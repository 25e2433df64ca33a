import type { JobEvent } from "../src/schema/event.ts";
import type { Call } from "../test/support/provider-server.ts";
import { isOver, type Found, type Journal } from "./journal.ts";

/** A cancelled or deleted job's call may begin before its consumer hears of it, and must stop within this. */
const GRACE_MS = 2_000;

/** Holds every job to the rules, by what its client was told and what the provider saw. */
export function audit(found: Found[], calls: Call[], journal: Journal): void {
  const called = Map.groupBy(calls, ({ prompt }) => prompt);
  for (const job of found) {
    const violated = (what: string) => journal.violated(job.id, what);
    auditEntry(job, violated);
    if (job.entry.deletedAt !== null) continue;
    if (job.view === null) {
      violated("was accepted and is not there");
      continue;
    }
    auditLog(job, violated);
    auditText(job, called.get(job.entry.prompt) ?? [], violated);
  }
  // A job and those that repeat it have one prompt, so the provider's calls are all of theirs.
  for (const [prompt, family] of Map.groupBy(found, ({ entry }) => entry.prompt)) {
    const id = family[0]?.id ?? null;
    auditCalls(family, called.get(prompt) ?? [], (what) => journal.violated(id, what));
  }
}

type Violated = (what: string) => void;

function auditEntry({ entry, view }: Found, violated: Violated): void {
  if (entry.accepted > 1) violated(`invariant 6: it was accepted ${entry.accepted} times`);
  if (entry.key !== null && entry.accepted === 0 && entry.lost === 0) {
    violated("invariant 6: it was never accepted, but replayed");
  }
  if (entry.deletedAt !== null && view !== null) violated("it was deleted and is still there");
}

function auditLog({ entry, view, log }: Found, violated: Violated): void {
  if (log.some(({ seq }, at) => seq !== at + 1)) violated("invariant 4: its log has a gap");
  const ends = log.filter(({ type }) => isOver(type));
  if (ends.length !== 1) violated(`invariant 1: it has ${ends.length} terminal events`);
  if (ends[0] !== log.at(-1)) violated("invariant 1: its terminal event is not the last");
  if (log.at(-1)?.type !== view?.status) {
    violated(`its log ends with ${log.at(-1)?.type}, but it is ${view?.status}`);
  }
  if (view?.last_seq !== log.length) violated(`it has ${log.length} events, not ${view?.last_seq}`);
  if (entry.cancelled !== null && entry.cancelled !== view?.status) {
    violated(`invariant 1: to its cancellation it was ${entry.cancelled}, now ${view?.status}`);
  }
  if (!isSame(entry.seen, log.slice(0, entry.seen.length))) {
    violated("invariant 4: a reader saw another log");
  }
}

/** Invariant 5: the text is what the provider sent in one call, whole, and what the last attempt's deltas say. */
function auditText({ entry, view, log }: Found, calls: Call[], violated: Violated): void {
  if (view?.status !== "completed") return;
  const content = view.result?.content ?? "";
  const answers = calls
    .filter(({ finished }) => finished)
    .map((call) => wordsOf(call, entry.tokens));
  if (!answers.includes(content)) violated(`invariant 5: no call said "${content.slice(0, 40)}"`);
  const said = log.map((event) =>
    event.type === "delta" && event.attempt === view.attempts_made ? event.delta : "",
  );
  if (said.join("") !== content) violated("invariant 5: its deltas do not make its text");
}

function auditCalls(family: Found[], calls: Call[], violated: Violated): void {
  const started = family.flatMap(({ log }) => log.filter(({ type }) => type === "started")).length;
  const most = family.reduce((sum, { entry }) => sum + entry.maxAttempts, 0);
  if (started > most) violated(`invariant 3: ${started} attempts, ${most} allowed`);
  const gone = family.some(({ log }) => log.length === 0);
  if (calls.length > (gone ? most : started)) {
    violated(`invariant 3: ${calls.length} calls for ${started} attempts`);
  }
  const ends = family.map((job) => endOf(job));
  const last = Math.max(...ends);
  const late = calls.filter(({ startedAt }) => startedAt > last);
  if (late.length > 0) violated(`invariant 3: ${late.length} calls after the end`);
}

/** Until when a call may begin: a clean end's has none after it, one from outside is heard of a little later. */
function endOf({ entry, view, log }: Found): number {
  if (entry.deletedAt !== null) return entry.deletedAt + GRACE_MS;
  const endedAt = Date.parse(log.at(-1)?.at ?? "");
  return view?.status === "cancelled" ? endedAt + GRACE_MS : endedAt;
}

/** The text the provider sends in a call that answers with so many tokens. */
function wordsOf({ id }: Call, tokens: number): string {
  return Array.from({ length: tokens }, (_, at) => `a${id}.${at} `).join("");
}

export function isSame(one: JobEvent[], other: JobEvent[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

import { describe, expect, it } from "vitest";

import { ACCEPTS, type Command, type Transition } from "../../src/domain/command.ts";
import { hasEnded, wakeAt, type JobSpec } from "../../src/domain/job.ts";
import { accept, transition } from "../../src/domain/transition.ts";
import { JobEvent } from "../../src/schema/event.ts";
import {
  accepted,
  after,
  COMMANDS,
  COST,
  DAY,
  frozen,
  HOUR,
  inStatus,
  MINUTE,
  NOW,
  SECOND,
  specOf,
  started,
  taken,
  UNAVAILABLE,
  type Status,
} from "./fixtures.ts";
import { AT, CANONICAL, TABLE, type Outcome } from "./transition-table.ts";

const STATUSES = Object.keys(TABLE) as Status[];
const TYPES = Object.keys(COMMANDS) as Command["type"][];

function outcomeOf(result: Transition): Outcome {
  return result.ok ? result.job.status : result.reason;
}

describe("the transition table", () => {
  const cells = STATUSES.flatMap((status) =>
    TYPES.map((type) => ({ status, type, leads: TABLE[status][type] })),
  );

  it.each(cells)("$status + $type leads to $leads", ({ status, type, leads }) => {
    const result = transition(frozen(CANONICAL[status]), frozen(COMMANDS[type]), AT);
    expect(outcomeOf(result)).toBe(leads);
  });

  it("is the same list as ACCEPTS: a command is taken into account unless it is illegal", () => {
    for (const { status, type, leads } of cells) {
      // An account is accepted wherever there may be a call that was only estimated (account.test.ts), and an approval is
      // asked for where a job has come to one (advance.test.ts).
      if (type === "account" || type === "ask") continue;
      expect(ACCEPTS[status].includes(type), `${status} + ${type}`).toBe(leads !== "illegal");
    }
  });

  it("tells only events the wire's schema knows, in every cell", () => {
    const told = cells.flatMap(({ status, type }) => {
      const result = transition(CANONICAL[status], COMMANDS[type], AT);
      return result.ok ? result.events : [];
    });
    expect(new Set(told.map(({ type }) => type)).size).toBe(8);
    for (const event of told) {
      const wired = { ...event, job_id: "test-123" };
      const whole =
        wired.type === "completed"
          ? { ...wired, result: { content: "", ...wired.result }, completed_at: wired.at }
          : wired;
      expect(JobEvent.parse(whole)).toEqual(whole);
    }
  });

  it.each(STATUSES)("an alarm that comes early changes nothing of a job that is %s", (status) => {
    const job = CANONICAL[status];
    const result = taken(transition(job, COMMANDS.wake, AT));
    expect(result).toEqual({ ok: true, job, events: [], effects: [] });
    expect(wakeAt(job)).toBeGreaterThan(AT);
  });

  it.each(["completed", "failed", "cancelled"] as const)(
    "invariant 1: a job that is %s takes nothing that tells another event",
    (status) => {
      expect(hasEnded(CANONICAL[status])).toBe(true);
      for (const type of TYPES) {
        const result = transition(CANONICAL[status], COMMANDS[type], NOW + 30 * DAY);
        expect(result.ok ? result.events : []).toEqual([]);
      }
    },
  );
});

describe("a job that is accepted", () => {
  it("invariant 4: begins its log with `queued` at seq 1", () => {
    const { job, events } = taken(accept(specOf()));
    expect(events).toEqual([
      { type: "queued", priority: "pro", seq: 1, at: "2026-11-22T12:00:00.000Z" },
    ]);
    expect(job.seq).toBe(1);
  });

  it("rings at once, and again after half a minute should the message be lost", () => {
    const { job, effects } = taken(accept(specOf()));
    expect(effects).toEqual([{ type: "ring" }]);
    expect(wakeAt(job)).toBe(NOW + 30 * SECOND);
    const again = taken(transition(job, COMMANDS.wake, NOW + 30 * SECOND));
    expect(again).toMatchObject({ effects: [{ type: "ring" }], events: [] });
    expect(wakeAt(again.job)).toBe(NOW + 90 * SECOND);
  });

  it("rings not before it is due when it is to start later, and says when that is", () => {
    const { job, events, effects } = taken(accept(specOf({ runAt: NOW + HOUR })));
    expect(effects).toEqual([]);
    expect(events[0]).toMatchObject({ type: "queued", run_at: "2026-11-22T13:00:00.000Z" });
    expect(wakeAt(job)).toBe(NOW + HOUR);
    const due = taken(transition(job, COMMANDS.wake, NOW + HOUR));
    expect(due.effects).toEqual([{ type: "ring" }]);
    expect(wakeAt(due.job)).toBe(NOW + HOUR + 30 * SECOND);
  });
});

describe("the events of an attempt", () => {
  const first = { ...COMMANDS.append, text: "Hello, " };
  const second = { ...COMMANDS.append, part: 1, text: "world" };

  it("tell the start, the model and the first step", () => {
    const { events } = taken(transition(accepted(), COMMANDS.lease, NOW));
    expect(events).toMatchObject([
      { type: "started", seq: 2, attempt: 1, model: "gpt-4o", provider: "openai" },
      { type: "progress", seq: 3, progress: 10, step: "Starting LLM API call" },
    ]);
  });

  it("tell the last text, the steps 80 and 100, and the end, in this order", () => {
    const job = after(started(), NOW, first);
    const last = { ...COMMANDS.complete, part: 1, text: "world" };
    const { events, job: ended } = taken(transition(job, last, NOW + SECOND));
    expect(events).toMatchObject([
      { type: "delta", seq: 5, attempt: 1, delta: "world" },
      { type: "progress", seq: 6, progress: 80, step: "LLM response received" },
      { type: "progress", seq: 7, progress: 100, step: "Complete" },
      { type: "completed", seq: 8, at: "2026-11-22T12:00:01.000Z" },
    ]);
    expect(ended).toMatchObject({ progress: 100, step: "Complete", seq: 8 });
  });

  it("invariant 5: a completion that repeats the last part does not say it twice", () => {
    const job = after(started(), NOW, first, second);
    const repeated = { ...COMMANDS.complete, part: 1, text: "world" };
    const { events } = taken(transition(job, repeated, NOW));
    expect(events.map(({ type }) => type)).toEqual(["progress", "progress", "completed"]);
  });

  it("keep the first token's time, though the attempt should stall after it", () => {
    const later = { ...second, ttftMs: 9_999 };
    const job = after(after(started(), NOW, first, later), NOW + MINUTE, COMMANDS.wake);
    expect(job.attempts).toMatchObject([{ outcome: "failed", ttftMs: 620, providerMs: null }]);
  });

  it("keep what the consumer measured", () => {
    expect(inStatus(after(started(), NOW, COMMANDS.complete), "completed").attempts).toMatchObject([
      { outcome: "completed", ttftMs: 620, providerMs: 7_700, costUsd: COST, endedAt: NOW },
    ]);
  });
});

describe("time alone", () => {
  it("invariant 2: a job waiting for its next attempt ends even if no consumer ever comes again", () => {
    let job = after(started(), NOW, COMMANDS.fail);
    expect(job.status).toBe("queued");
    for (let wakes = 0; wakes < 10_000 && !hasEnded(job); wakes++) {
      job = after(job, wakeAt(job), COMMANDS.wake);
    }
    expect(job.status).toBe("failed");
  });

  it("invariant 2: a job that gave up fails by itself if the dead-letter consumer never comes", () => {
    const job = CANONICAL.failing;
    expect(wakeAt(job)).toBe(NOW + 15 * SECOND);
    const { job: ended, events } = taken(transition(job, COMMANDS.wake, wakeAt(job)));
    expect(ended.status).toBe("failed");
    expect(events).toMatchObject([
      { type: "failed", error_code: "provider_rejected", attempts: 1 },
    ]);
  });

  it("keeps a failed job for as long as failed jobs are kept, the others for as long as theirs", () => {
    expect(wakeAt(CANONICAL.failed)).toBe(NOW + 7 * DAY);
    expect(wakeAt(CANONICAL.completed)).toBe(NOW + DAY);
    expect(wakeAt(CANONICAL.cancelled)).toBe(NOW + DAY);
  });

  it("purges a job of everything that was its caller's, and keeps its id while the key runs", () => {
    const spec: Partial<JobSpec> = { retentionMs: HOUR, keyExpiresAt: NOW + DAY };
    const done = after(started(spec), NOW, COMMANDS.complete);
    const { job, effects, events } = taken(transition(done, COMMANDS.wake, NOW + HOUR));
    expect(job).toMatchObject({ status: "purged", purgedAt: NOW + HOUR, attempts: [], step: null });
    expect(job.spec).toEqual({ ...done.spec, user: null, metadata: {} });
    expect(job).not.toHaveProperty("answer");
    expect([events, effects]).toEqual([[], [{ type: "purge" }]]);
    expect(wakeAt(job)).toBe(NOW + DAY);
    const { effects: last } = taken(transition(job, COMMANDS.wake, NOW + DAY));
    expect(last).toEqual([{ type: "forget" }]);
  });

  it("forgets a job at once where its key ran out before its content", () => {
    const spec: Partial<JobSpec> = { retentionMs: 2 * DAY, keyExpiresAt: NOW + DAY };
    const done = after(started(spec), NOW, COMMANDS.complete);
    const { effects } = taken(transition(done, COMMANDS.wake, NOW + 2 * DAY));
    expect(effects).toEqual([{ type: "forget" }]);
  });
});

/** When the lease ends after a word at each of these instants. */
function leaseEnd(spec: Partial<JobSpec>, ...words: number[]): number {
  const pulse = { ...COMMANDS.append, text: "" };
  const job = words.reduce((at, now) => after(at, now, pulse), after(started(spec), NOW));
  return inStatus(job, "active").lease.expiresAt - NOW;
}

describe("the lease", () => {
  it("lasts its time from the start, and is renewed only once a third of it is used", () => {
    expect(leaseEnd({})).toBe(60 * SECOND);
    expect(leaseEnd({}, NOW + 19 * SECOND)).toBe(60 * SECOND);
    expect(leaseEnd({}, NOW + 20 * SECOND)).toBe(80 * SECOND);
  });

  it("invariant 2: never outlives the attempt's own time by more than one lease", () => {
    const words = Array.from({ length: 5 }, (_, index) => NOW + (index + 1) * 30 * SECOND);
    expect(leaseEnd({ timeoutMs: 90 * SECOND }, ...words.slice(0, 4))).toBe(150 * SECOND);
    expect(() => leaseEnd({ timeoutMs: 90 * SECOND }, ...words)).toThrow("refused: fenced");
  });

  it("a retry's doorbell rings half a minute after it is due, should its message be lost", () => {
    const job = after(started(), NOW, COMMANDS.fail);
    const readyAt = NOW + 5 * SECOND;
    expect(inStatus(job, "queued")).toMatchObject({ readyAt, ringAt: readyAt + 30 * SECOND });
    expect(job.attempts).toMatchObject([{ outcome: "failed", failure: UNAVAILABLE }]);
  });
});

import { describe, expect, it } from "vitest";

import { givenUp, type DeadLetter } from "../../src/domain/dead-letter.ts";
import { EXPIRED, OVERDUE, STALLED, UNDELIVERABLE } from "../../src/domain/failure.ts";
import { dueAt, wakeAt, type Job } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import { attemptsOf } from "../../src/domain/view.ts";
import type { KeptRequest } from "../../src/schema/job.ts";
import {
  accepted,
  after,
  CLAUDE,
  COMMANDS,
  DAY,
  GIVING_UP,
  GPT,
  HOUR,
  inStatus,
  MINUTE,
  NOW,
  owing,
  REFUSED,
  REJECTED,
  SECOND,
  started,
  taken,
} from "./fixtures.ts";

function letterOf(job: Job, request: KeptRequest, now: number): DeadLetter {
  const given = givenUp(job, () => request, now);
  if (given.type !== "letter") throw new Error(`there is ${given.type}`);
  return given.letter;
}

describe("invariant 2: a dead letter", () => {
  it("is rung for by a job that failed without it, ever more rarely, until it is written", () => {
    let job: Job = owing();
    const waits: number[] = [];
    for (let rings = 0; rings < 6; rings++) {
      const since = rings === 0 ? NOW + 15 * SECOND : wakeAt(job);
      if (rings > 0) {
        const rung = taken(transition(job, COMMANDS.wake, wakeAt(job)));
        expect(rung).toMatchObject({ effects: [{ type: "dead_letter" }], events: [] });
        ({ job } = rung);
      }
      waits.push((wakeAt(job) - since) / SECOND);
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 900]);
    const written = after(job, wakeAt(job), COMMANDS.dead_letter);
    expect(written).toMatchObject({ status: "failed", letter: null });
    expect(wakeAt(written)).toBe(NOW + 15 * SECOND + 7 * DAY);
  });

  it("rings as its job fails, for the first ring may be what was lost", () => {
    const failing = after(started(), NOW, GIVING_UP);
    const { effects, events } = taken(transition(failing, COMMANDS.wake, NOW + 15 * SECOND));
    expect(effects).toEqual([{ type: "dead_letter" }]);
    expect(events.map(({ type }) => type)).toEqual(["failed"]);
  });

  it("keeps its job from being purged as long as it is owed", () => {
    const job = owing({ failedRetentionMs: SECOND });
    expect(dueAt(job)).toBeNull();
    expect(after(job, NOW + 365 * DAY, COMMANDS.wake).status).toBe("failed");
    const written = after(job, NOW + 365 * DAY, COMMANDS.dead_letter);
    expect(after(written, NOW + 365 * DAY, COMMANDS.wake).status).toBe("purged");
  });

  it("that is written again changes nothing", () => {
    const written = after(owing(), NOW + MINUTE, COMMANDS.dead_letter);
    expect(taken(transition(written, COMMANDS.dead_letter, NOW + HOUR))).toEqual({
      ok: true,
      job: written,
      events: [],
      effects: [],
    });
  });

  it("holds the request and all that became of it", () => {
    const request = { prompt: "Why is the sky blue?" };
    const refused = { ...COMMANDS.fail, failure: REFUSED };
    const second = after(started({ routes: [GPT, CLAUDE] }), NOW, refused, COMMANDS.lease);
    const failing = inStatus(after(second, NOW + SECOND, GIVING_UP), "failing");
    const letter = letterOf(failing, request, NOW + 2 * SECOND);
    expect(letter).toEqual({
      dlqId: "dlq_uid-of-test-123",
      jobId: "test-123",
      tenant: "acme",
      tier: "pro",
      model: "gpt-4o",
      provider: "anthropic",
      error: REJECTED.message,
      errorCode: "provider_rejected",
      submittedAt: NOW,
      failedAt: NOW + 2 * SECOND,
      attempts: attemptsOf(failing),
      request,
    });
    expect(letter.attempts).toHaveLength(2);
    const failed = inStatus(after(failing, NOW + 16 * SECOND, COMMANDS.wake), "failed");
    expect(letterOf(failed, request, NOW + HOUR).failedAt).toBe(NOW + 16 * SECOND);
  });

  it("of a job that was never begun names who was to serve it", () => {
    const failing = inStatus(after(accepted(), NOW, COMMANDS.give_up), "failing");
    expect(letterOf(failing, { prompt: "x" }, NOW)).toMatchObject({
      errorCode: UNDELIVERABLE.code,
      provider: "openai",
      attempts: [],
    });
  });
});

const request = () => ({ prompt: "x" });

describe("a job whose message comes to the dead letters", () => {
  const failing = after(started(), NOW, GIVING_UP);
  const failed = after(failing, NOW, COMMANDS.dead_letter);

  it.each<[string, Job | null]>([
    ["that was never submitted", null],
    ["that runs", started()],
    ["that was cancelled before it was given up", after(started(), NOW, COMMANDS.cancel)],
    ["whose letter is written", failed],
    ["that time has purged", after(failed, NOW + 7 * DAY, COMMANDS.wake)],
  ])("%s owes nothing", (_, job) => {
    expect(givenUp(job, request, NOW)).toEqual({ type: "nothing" });
  });

  it.each<[string, Job]>([
    ["cancelled", after(failing, NOW, COMMANDS.cancel)],
    ["cancelled and deleted", after(failing, NOW, COMMANDS.cancel, COMMANDS.delete)],
    ["deleted", after(failed, NOW, COMMANDS.delete)],
  ])("though it was %s withdraws a letter that may have been written", (_, job) => {
    const dlqId = "dlq_uid-of-test-123";
    expect(givenUp(job, request, NOW)).toEqual({ type: "withdrawn", dlqId });
  });
});

describe("invariant 2: a job's whole time", () => {
  const spec = { startBy: NOW + MINUTE, endBy: NOW + 2 * MINUTE, leaseMs: 10 * MINUTE };

  it("ends the attempt that runs as it is over, though its lease lives", () => {
    const job = started(spec);
    expect(wakeAt(job)).toBe(NOW + 2 * MINUTE);
    const { job: over, events, effects } = taken(transition(job, COMMANDS.wake, NOW + 2 * MINUTE));
    expect(over).toMatchObject({ status: "failing", failure: OVERDUE });
    expect(events).toMatchObject([
      { type: "attempt_failed", error_code: "timeout", retry_at: null },
    ]);
    expect(effects).toEqual([{ type: "dead_letter" }]);
  });

  it("ends a job that waits for its next attempt with what its last one failed of", () => {
    const job = after(started(spec), NOW + MINUTE, COMMANDS.fail);
    expect(dueAt(job)).toBe(NOW + 2 * MINUTE);
    const over = after(job, NOW + 2 * MINUTE, COMMANDS.wake);
    expect(over).toMatchObject({ status: "failing", failure: { code: "provider_unavailable" } });
  });

  it("leaves no attempt to be promised behind its end", () => {
    const late = after(started(spec), NOW + 2 * MINUTE - 5 * SECOND, COMMANDS.fail);
    expect(late).toMatchObject({ status: "failing", failure: { code: "provider_unavailable" } });
    const early = after(started(spec), NOW + 2 * MINUTE - 5 * SECOND - 1, COMMANDS.fail);
    expect(early).toMatchObject({ status: "queued", readyAt: NOW + 2 * MINUTE - 1 });
  });

  it("is not what a job that was never started fails of", () => {
    const job = accepted(spec);
    expect(dueAt(job)).toBe(NOW + MINUTE);
    expect(after(job, NOW + MINUTE, COMMANDS.wake)).toMatchObject({ failure: EXPIRED });
  });
});

/** The job once its next attempt has stalled. */
function stall(job: Job): Job {
  const now = job.status === "queued" ? job.readyAt : NOW;
  return after(after(job, now, COMMANDS.lease), now + MINUTE, COMMANDS.wake);
}

describe("invariant 3: attempts that stall", () => {
  it("are followed by another as often as they may, and once more give the job up", () => {
    const twice = stall(stall(accepted({ maxAttempts: 9, maxStalls: 2 })));
    expect(twice.status).toBe("queued");
    const thrice = stall(twice);
    expect(thrice).toMatchObject({ status: "failing", failure: STALLED });
  });

  it("give up a job that may not stall at all the first time, fallback or not", () => {
    const job = stall(accepted({ maxStalls: 0, routes: [GPT, CLAUDE] }));
    expect(job).toMatchObject({ status: "failing", failure: STALLED });
  });

  it("are counted over all models, and no other failure with them", () => {
    const spec = { maxStalls: 1, maxAttempts: 1, routes: [GPT, CLAUDE, GPT] };
    const once = stall(accepted(spec));
    expect(once).toMatchObject({ status: "queued", route: 1 });
    const other = after(once, NOW + MINUTE, COMMANDS.lease, COMMANDS.fail);
    expect(other).toMatchObject({ status: "queued", route: 2 });
    expect(stall(other).status).toBe("failing");
  });
});

describe("deleting", () => {
  it.each(["completed", "cancelled", "failed"] as const)(
    "a job that is %s leaves nothing of it, and its id taken",
    (status) => {
      const ended = {
        completed: after(started(), NOW, COMMANDS.complete),
        cancelled: after(started(), NOW, COMMANDS.cancel),
        failed: after(started(), NOW, GIVING_UP, COMMANDS.dead_letter),
      }[status];
      const { job, events, effects } = taken(transition(ended, COMMANDS.delete, NOW + SECOND));
      expect(job).toMatchObject({ status: "purged", purgedAt: NOW + SECOND, attempts: [] });
      expect(job.spec).toEqual({ ...ended.spec, user: null, metadata: {} });
      expect([events, effects]).toEqual([[], [{ type: "purge" }]]);
      expect(wakeAt(job)).toBe(NOW + DAY);
    },
  );

  it("a job whose letter is owed ends the owing, and what was written goes as well", () => {
    const job = after(owing(), NOW + MINUTE, COMMANDS.delete);
    expect(job).toMatchObject({ status: "purged", letterToo: true });
    expect(job).not.toHaveProperty("letter");
  });

  it("a job that was cancelled as its letter was being written takes that along too", () => {
    const failing = after(started(), NOW, GIVING_UP);
    const cancelled = after(failing, NOW, COMMANDS.cancel);
    expect(after(cancelled, NOW, COMMANDS.delete)).toMatchObject({ letterToo: true });
  });

  it("takes a letter along that time alone would have left", () => {
    const failed = after(started(), NOW, GIVING_UP, COMMANDS.dead_letter);
    expect(after(failed, NOW, COMMANDS.delete)).toMatchObject({ letterToo: true });
    expect(after(failed, NOW + 7 * DAY, COMMANDS.wake)).toMatchObject({ letterToo: false });
  });
});

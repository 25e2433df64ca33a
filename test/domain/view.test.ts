import { describe, expect, it } from "vitest";

import {
  attemptsOf,
  foreseenView,
  partIsShown,
  partIsVoid,
  statusOf,
  viewOf,
} from "../../src/domain/view.ts";
import type { Job } from "../../src/domain/job.ts";
import { AttemptView, JobView, type JobStatus } from "../../src/schema/job.ts";
import {
  accepted,
  after,
  ANSWER,
  CLAUDE,
  COMMANDS,
  COST,
  GPT,
  HOUR,
  NOW,
  REFUSED,
  REJECTED,
  SECOND,
  started,
  type Status,
} from "./fixtures.ts";
import { CANONICAL } from "./transition-table.ts";

function view(job: Job, now = NOW): JobView {
  return viewOf(job, now);
}

describe("a job's status, as its owner sees it,", () => {
  const seen: Record<Status, JobStatus> = {
    queued: "queued",
    active: "active",
    waiting: "active",
    failing: "active",
    completed: "completed",
    failed: "failed",
    cancelled: "cancelled",
    purged: "cancelled",
  };

  it.each(Object.entries(seen) as [Status, JobStatus][])("%s, is %s", (status, shown) => {
    expect(statusOf(CANONICAL[status])).toBe(shown);
  });
});

describe("a job's view", () => {
  const jobs = Object.entries(CANONICAL);

  it.each(jobs)("is what the schema says when it is %s", (_, job) => {
    const shown = view(job);
    expect(JobView.parse(shown)).toEqual(shown);
  });

  it.each(jobs)("keeps the lease's token to itself when it is %s", (_, job) => {
    expect(JSON.stringify(view(job))).not.toMatch(/token-1|fingerprint/);
  });

  it("always says whose it is, what was asked and where it stands", () => {
    expect(view(accepted())).toMatchObject({
      job_id: "test-123",
      submitted_at: "2026-11-22T12:00:00.000Z",
      model: "gpt-4o",
      provider: "openai",
      priority: "pro",
      priority_level: 3,
      progress: 0,
      step: null,
      attempts_made: 0,
      last_seq: 1,
      user: "ada",
      metadata: { page: "faq" },
      batch_id: null,
      replay_of: null,
      cost_usd: null,
      wasted_cost_usd: 0,
    });
  });
});

describe("the view of a queued job", () => {
  it("says how many are before it and how long that may take, and no more", () => {
    expect(view(accepted())).toMatchObject({ queue_position: 0, estimated_wait: 0 });
    const shown = foreseenView(view(accepted()), { position: 250, seconds: 10 });
    expect(shown).toMatchObject({ status: "queued", queue_position: 250, estimated_wait: 10 });
    for (const absent of ["run_at", "retry_at", "started_at", "retained_until"]) {
      expect(shown).not.toHaveProperty(absent);
    }
  });

  it("says when it will start if it is to start later", () => {
    const shown = view(accepted({ runAt: NOW + HOUR }));
    expect(shown).toMatchObject({ run_at: "2026-11-22T13:00:00.000Z", estimated_wait: 3_600 });
    expect(shown).not.toHaveProperty("retry_at");
  });

  it("says when its next attempt is due once one has failed", () => {
    const shown = view(after(started({ runAt: NOW }), NOW, COMMANDS.fail));
    expect(shown).toMatchObject({
      status: "queued",
      attempts_made: 1,
      retry_at: "2026-11-22T12:00:05.000Z",
      estimated_wait: 5,
      wasted_cost_usd: COST,
      cost_usd: null,
    });
    expect(shown).not.toHaveProperty("run_at");
  });
});

describe("the view of an active job", () => {
  it("says its progress and since when, and nothing of a queue or an end", () => {
    const shown = view(started());
    expect(shown).toMatchObject({
      status: "active",
      progress: 10,
      step: "Starting LLM API call",
      attempts_made: 1,
      started_at: "2026-11-22T12:00:00.000Z",
    });
    for (const absent of ["queue_position", "estimated_wait", "completed_at", "retained_until"]) {
      expect(shown).not.toHaveProperty(absent);
    }
  });

  it("names the fallback once that is the model that is called", () => {
    const failed = { ...COMMANDS.fail, failure: REFUSED };
    const job = after(started({ routes: [GPT, CLAUDE] }), NOW, failed, COMMANDS.lease);
    expect(view(job)).toMatchObject({ model: "claude-haiku-4-5", provider: "anthropic" });
  });
});

describe("the view of a job that ended", () => {
  it("says of a completed one what it cost and where the time went", () => {
    const begun = after(accepted(), NOW + 41, COMMANDS.lease);
    const shown = view(after(begun, NOW + 8_164, COMMANDS.complete));
    expect(shown).toMatchObject({
      status: "completed",
      progress: 100,
      step: "Complete",
      completed_at: "2026-11-22T12:00:08.164Z",
      processing_time_ms: 8_123,
      timings: { queue_ms: 41, ttft_ms: 620, provider_ms: 7_700 },
      cost_usd: COST,
      wasted_cost_usd: 0,
      retained_until: "2026-11-23T12:00:08.164Z",
    });
  });

  it("counts the time in the queue from when a delayed job was due", () => {
    const begun = after(accepted({ runAt: NOW + HOUR }), NOW + HOUR + 41, COMMANDS.lease);
    const shown = view(after(begun, NOW + HOUR + SECOND, COMMANDS.complete));
    expect(shown.timings?.queue_ms).toBe(41);
  });

  it("invariant 10: keeps the call that answered apart from those that were wasted", () => {
    const twice = after(started(), NOW, COMMANDS.fail);
    const job = after(twice, NOW + 5 * SECOND, COMMANDS.lease, COMMANDS.complete);
    expect(view(job)).toMatchObject({ cost_usd: COST, wasted_cost_usd: COST });
  });

  it("says of a failed one why, for people and for programs", () => {
    const failing = after(started(), NOW, { ...COMMANDS.fail, failure: REJECTED });
    const shown = view(after(failing, NOW + SECOND, COMMANDS.dead_letter));
    expect(shown).toMatchObject({
      status: "failed",
      error: REJECTED.message,
      error_code: "provider_rejected",
      dlq_id: "dlq_uid-of-test-123",
      failed_at: "2026-11-22T12:00:01.000Z",
      wasted_cost_usd: COST,
      retained_until: "2026-11-29T12:00:01.000Z",
    });
    expect(shown).not.toHaveProperty("completed_at");
  });

  it("says of a cancelled one when and by whose word", () => {
    const shown = view(after(accepted(), NOW + SECOND, COMMANDS.cancel));
    expect(shown).toMatchObject({
      status: "cancelled",
      reason: "Cancelled by the client",
      cancelled_at: "2026-11-22T12:00:01.000Z",
      wasted_cost_usd: 0,
    });
    expect(shown.usage).toEqual({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
  });

  it("invariant 10: says of one cancelled in mid-answer what that is likely to have used and cost", () => {
    const spoken = { ...COMMANDS.append, text: "x".repeat(400) };
    const shown = view(after(started(), NOW + SECOND, spoken, COMMANDS.cancel));
    expect(shown.usage).toEqual({
      prompt_tokens: 12,
      completion_tokens: 100,
      total_tokens: 112,
      estimated: true,
    });
    expect(shown).toMatchObject({ cost_usd: null, wasted_cost_usd: 0.00103 });
  });

  it("invariant 10: says of a cancelled one what its call came to, once its consumer has told", () => {
    const shown = view(after(started(), NOW + SECOND, COMMANDS.cancel, COMMANDS.account));
    expect(shown).toMatchObject({
      status: "cancelled",
      usage: ANSWER.usage,
      wasted_cost_usd: COST,
    });
  });

  it("says of a cancelled one what an earlier call used, where that is known", () => {
    const waiting = after(started(), NOW, COMMANDS.fail);
    const shown = view(after(waiting, NOW + SECOND, COMMANDS.cancel));
    expect(shown.usage).toEqual(ANSWER.usage);
  });

  it("names the job that it repeats", () => {
    expect(view(accepted({ replayOf: "test-122" })).replay_of).toBe("test-122");
  });

  it("says nothing of a purged one that was its owner's", () => {
    const shown = view(CANONICAL.purged);
    expect([shown.user, shown.metadata, shown.step]).toEqual([null, {}, null]);
    expect(shown).not.toHaveProperty("retained_until");
  });
});

describe("the list of a job's calls", () => {
  it("is what the schema says, whatever has become of them", () => {
    for (const job of Object.values(CANONICAL)) {
      const shown = attemptsOf(job);
      expect(shown.map((attempt) => AttemptView.parse(attempt))).toEqual(shown);
      expect(JSON.stringify(shown)).not.toContain("token-1");
    }
  });

  it("says of each who was called, how it ended, what it used and cost, and how long it took", () => {
    const refused = after(started({ routes: [GPT, CLAUDE] }), NOW + SECOND, {
      ...COMMANDS.fail,
      failure: REFUSED,
    });
    const job = after(refused, NOW + 2 * SECOND, COMMANDS.lease, COMMANDS.complete);
    expect(attemptsOf(job)).toEqual([
      {
        attempt: 1,
        model: "gpt-4o",
        provider: "openai",
        status: "failed",
        started_at: "2026-11-22T12:00:00.000Z",
        ended_at: "2026-11-22T12:00:01.000Z",
        usage: ANSWER.usage,
        cost_usd: COST,
        error: REFUSED.message,
        error_code: "provider_rejected",
        timings: { ttft_ms: 620, provider_ms: 7_700 },
      },
      {
        attempt: 2,
        model: "claude-haiku-4-5",
        provider: "anthropic",
        status: "completed",
        started_at: "2026-11-22T12:00:02.000Z",
        ended_at: "2026-11-22T12:00:02.000Z",
        usage: ANSWER.usage,
        cost_usd: 0.000459,
        timings: { ttft_ms: 620, provider_ms: 7_700 },
      },
    ]);
  });

  it("says of one that runs that it is active, and no more", () => {
    expect(attemptsOf(started())).toMatchObject([
      { status: "active", ended_at: null, usage: null, cost_usd: null },
    ]);
    expect(attemptsOf(accepted())).toEqual([]);
  });
});

describe("text that is no result", () => {
  it.each<[Status, boolean]>([
    ["queued", false],
    ["active", true],
    ["failing", true],
    ["completed", false],
    ["failed", false],
    ["cancelled", true],
    ["purged", false],
  ])("of a job that is %s is shown: %s", (status, shown) => {
    expect(partIsShown(CANONICAL[status])).toBe(shown);
  });

  it("is not shown of a job cancelled between two attempts: it was an attempt's that failed", () => {
    const waiting = after(started(), NOW, COMMANDS.fail, COMMANDS.cancel);
    expect([partIsShown(waiting), partIsVoid(waiting)]).toEqual([true, true]);
    expect(partIsVoid(after(started(), NOW, COMMANDS.cancel))).toBe(false);
  });
});

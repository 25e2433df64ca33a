import { describe, expect, it } from "vitest";

import { isCutByBudget, tokensLeft } from "../../src/domain/budget.ts";
import { OVER_BUDGET } from "../../src/domain/failure.ts";
import { transition } from "../../src/domain/transition.ts";
import { partIsShown, viewOf } from "../../src/domain/view.ts";
import {
  accepted,
  after,
  CLAUDE,
  COMMANDS,
  COST,
  GPT,
  HOUR,
  inStatus,
  MINUTE,
  NOW,
  REPORT,
  started,
  taken,
} from "./fixtures.ts";

/** Pays for one call as `REPORT` reports it, and not for a second. */
const CAPPED = { maxCostUsd: COST + 0.000_03, promptTokens: 12 };

/** The attempt reached the job's budget. */
const CUT = { ...COMMANDS.fail, failure: OVER_BUDGET };

function failedOf(job: ReturnType<typeof started>, command: typeof CUT) {
  return inStatus(after(after(job, NOW, command), NOW, COMMANDS.dead_letter), "failed");
}

describe("a job's own budget", () => {
  it("is without end where it has none, and is what its calls have left of it otherwise", () => {
    expect(tokensLeft(accepted())).toBe(Infinity);
    expect(tokensLeft(accepted({ ...CAPPED, maxCostUsd: 0.001 }))).toBe(97);
    expect(tokensLeft(after(started(CAPPED), NOW, COMMANDS.fail))).toBe(0);
  });

  it("waits for no call it cannot pay for: the job gives up with it at once, and its letter is due", () => {
    const { job, events, effects } = taken(transition(started(CAPPED), COMMANDS.fail, NOW));
    expect(job).toMatchObject({ status: "failing", failure: OVER_BUDGET });
    expect(events).toMatchObject([{ type: "attempt_failed", retry_at: null }]);
    expect(effects).toEqual([{ type: "dead_letter" }]);
    const failed = inStatus(after(job, NOW + HOUR, COMMANDS.dead_letter), "failed");
    expect(failed.failure.code).toBe("budget");
    // What it said before it failed otherwise is void.
    expect([isCutByBudget(failed), partIsShown(failed)]).toEqual([false, false]);
  });

  it("grants no attempt once a call has turned out dearer than it was taken to be", () => {
    const silent = { ...COMMANDS.fail, report: { ...REPORT, usage: null, answerBytes: 0 } };
    const waiting = after(started(CAPPED), NOW, silent);
    expect(waiting.status).toBe("queued");
    const told = after(waiting, NOW, { type: "account", token: "token-1", report: REPORT });
    const { job, events, effects } = taken(transition(told, COMMANDS.lease, NOW + HOUR));
    expect(job).toMatchObject({ status: "failing", failure: OVER_BUDGET });
    expect([events, effects]).toEqual([[], [{ type: "dead_letter" }]]);
  });

  it("grants the next attempt where a call cost less, or the next model does", () => {
    const free = { ...COMMANDS.fail, report: { ...REPORT, usage: null, taken: false } };
    const again = after(started(CAPPED), NOW, free);
    expect(after(again, NOW + MINUTE, COMMANDS.lease).status).toBe("active");
    const two = { ...CAPPED, routes: [GPT, CLAUDE], maxAttempts: 1, maxCostUsd: COST + 0.000_05 };
    const next = after(started(two), NOW, COMMANDS.fail);
    expect(after(next, NOW, COMMANDS.lease)).toMatchObject({ status: "active", route: 1 });
  });

  it("ends the job at the attempt that reaches it, which keeps its text, its usage and its cost", () => {
    const cut = taken(transition(started(CAPPED), CUT, NOW));
    expect(cut.events).toMatchObject([
      { type: "attempt_failed", error_code: "budget", retry_at: null },
    ]);
    const failed = failedOf(started(CAPPED), CUT);
    expect([isCutByBudget(failed), partIsShown(failed)]).toEqual([true, true]);
    expect(viewOf(failed, NOW)).toMatchObject({
      status: "failed",
      error: "The job's budget is used up",
      error_code: "budget",
      max_cost_usd: CAPPED.maxCostUsd,
      wasted_cost_usd: COST,
      usage: REPORT.usage,
    });
  });
});

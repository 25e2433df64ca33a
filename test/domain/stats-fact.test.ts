import { describe, expect, it } from "vitest";

import type { Command, Transition } from "../../src/domain/command.ts";
import type { Job } from "../../src/domain/job.ts";
import { statsFactOf } from "../../src/domain/stats-fact.ts";
import type { StatsFact } from "../../src/domain/stats.ts";
import { transition } from "../../src/domain/transition.ts";
import {
  accepted,
  APPROVAL_STEP,
  CLAUDE,
  COMMANDS,
  GPT,
  LLM_STEP,
  MINUTE,
  NOW,
  REFUSED,
  REJECTED,
  REPORT,
  SECOND,
  taken,
  TEMPLATE_STEP,
} from "./fixtures.ts";

/** Gives the commands, each at its time, and says what the statistics were told. */
function told(first: Job, ...commands: [number, Command][]): StatsFact[] {
  const facts: StatsFact[] = [];
  let job = first;
  for (const [now, command] of commands) {
    const next: Extract<Transition, { ok: true }> = taken(transition(job, command, now));
    job = next.job;
    for (const event of next.events) {
      const fact = statsFactOf("name", job, event);
      if (fact !== null) facts.push(fact);
    }
  }
  return facts;
}

describe("the statistics are told", () => {
  it("of a start and an end, and of nothing between", () => {
    const facts = told(
      accepted(),
      [NOW + 40, COMMANDS.lease],
      [NOW + SECOND, COMMANDS.append],
      [NOW + 8 * SECOND, { ...COMMANDS.complete, part: 1 }],
    );
    expect(facts).toEqual([
      {
        type: "started",
        job: "name",
        lane: "high",
        queueMs: 40,
        expiresAt: NOW + 40 + 90 * SECOND + MINUTE,
      },
      {
        type: "ended",
        job: "name",
        tenant: "acme",
        model: "gpt-4o",
        provider: "openai",
        status: "completed",
        errorCode: null,
        ttftMs: 620,
        totalMs: 8_000,
        costUsd: 0.0009225,
        wastedCostUsd: 0,
        promptTokens: 9,
        completionTokens: 90,
      },
    ]);
  });

  it("of each attempt that is followed by another, with the cost of those that gave nothing", () => {
    const facts = told(
      accepted(),
      [NOW, COMMANDS.lease],
      [NOW + SECOND, COMMANDS.fail],
      [NOW + MINUTE, COMMANDS.lease],
      [NOW + MINUTE + SECOND, { ...COMMANDS.fail, failure: REJECTED }],
      [NOW + 2 * MINUTE, COMMANDS.dead_letter],
    );
    expect(facts).toMatchObject([
      { type: "started", queueMs: 0 },
      { type: "retried", errorCode: "provider_unavailable" },
      { type: "started", queueMs: null },
      {
        type: "ended",
        status: "failed",
        errorCode: "provider_rejected",
        totalMs: 2 * MINUTE,
        costUsd: null,
        wastedCostUsd: 2 * 0.0009225,
        promptTokens: 2 * 9,
        completionTokens: 2 * 90,
      },
    ]);
  });

  it("of the model that was asked for, and of the provider that answered", () => {
    const facts = told(
      accepted({ routes: [GPT, CLAUDE] }),
      [NOW, COMMANDS.lease],
      [NOW, { ...COMMANDS.fail, failure: REFUSED }],
      [NOW + MINUTE, COMMANDS.lease],
      [NOW + MINUTE, COMMANDS.complete],
    );
    expect(facts.at(-1)).toMatchObject({ model: "gpt-4o", provider: "anthropic" });
  });

  it("of a job cancelled before it was due, which took no time", () => {
    const facts = told(accepted({ runAt: NOW + MINUTE }), [NOW + SECOND, COMMANDS.cancel]);
    expect(facts).toMatchObject([
      { status: "cancelled", errorCode: null, ttftMs: null, totalMs: 0, wastedCostUsd: 0 },
    ]);
  });

  it("of the wait since a delayed job was due, not of its delay", () => {
    const job = accepted({ runAt: NOW + MINUTE });
    expect(told(job, [NOW + MINUTE + 7, COMMANDS.lease])).toMatchObject([{ queueMs: 7 }]);
  });

  it("of the wait of a job for its service, not for whoever had to approve it", () => {
    const steps = [APPROVAL_STEP, LLM_STEP];
    const facts = told(
      accepted({ steps }),
      [NOW, COMMANDS.ask],
      [NOW + 30 * MINUTE, COMMANDS.input],
      [NOW + 30 * MINUTE + 40, COMMANDS.lease],
    );
    expect(facts).toMatchObject([{ type: "started", queueMs: 40 }]);
  });

  it("of the first token of the last call to a model, whatever steps come behind it", () => {
    const joined = { ...COMMANDS.complete, ttftMs: 1, report: { ...REPORT, ttftMs: 1 } };
    const facts = told(
      accepted({ steps: [LLM_STEP, TEMPLATE_STEP] }),
      [NOW, COMMANDS.lease],
      [NOW, COMMANDS.complete],
      [NOW, COMMANDS.lease],
      [NOW, joined],
    );
    expect(facts.at(-1)).toMatchObject({ type: "ended", provider: "openai", ttftMs: 620 });
  });

  it("of a stall as of any other failure", () => {
    const facts = told(accepted(), [NOW, COMMANDS.lease], [NOW + MINUTE, COMMANDS.wake]);
    expect(facts.at(-1)).toEqual({ type: "retried", job: "name", errorCode: "stalled" });
  });
});

import { describe, expect, it } from "vitest";

import type { CallReport, Command } from "../../src/domain/command.ts";
import type { Job } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import {
  accepted,
  after,
  ANSWER,
  COMMANDS,
  COST,
  frozen,
  GIVING_UP,
  MINUTE,
  NOW,
  REPORT,
  SECOND,
  started,
  taken,
  type Status,
} from "./fixtures.ts";

/** A job whose first attempt stalled, so that its usage is an estimate; its consumer still has `TOKEN`. */
const stalled = after(after(started(), NOW, COMMANDS.append), NOW + MINUTE, COMMANDS.wake);
const at = NOW + MINUTE;
const token = "token-2";
const next: Command = { type: "lease", token };

const SINCE: Record<Exclude<Status, "purged" | "waiting">, Job> = {
  queued: stalled,
  active: after(stalled, at, next),
  failing: after(stalled, at, next, { ...GIVING_UP, token }),
  completed: after(stalled, at, next, { ...COMMANDS.complete, token }),
  failed: after(stalled, at, next, { ...GIVING_UP, token }, COMMANDS.dead_letter),
  cancelled: after(stalled, at, next, COMMANDS.cancel),
};

function account(report: Partial<CallReport>): Command {
  return { ...COMMANDS.account, report: { ...REPORT, ...report } };
}

describe("invariant 10: the account of a call that was stopped", () => {
  it.each(Object.entries(SINCE))("takes the estimate's place in a job that is %s", (_, job) => {
    const {
      job: told,
      events,
      effects,
    } = taken(transition(frozen(job), frozen(COMMANDS.account), at + SECOND));
    expect([events, effects]).toEqual([[], []]);
    expect(told.attempts[0]).toMatchObject({ usage: ANSWER.usage, costUsd: COST });
    expect({ ...told, attempts: told.attempts.slice(1) }).toEqual({
      ...job,
      attempts: job.attempts.slice(1),
    });
  });

  it.each(Object.entries(SINCE))("is taken once in a job that is %s", (_, job) => {
    const once = after(job, at, COMMANDS.account);
    for (const report of [REPORT, { ...REPORT, usage: null }, { ...REPORT, taken: false }]) {
      expect(transition(once, account(report), at)).toEqual({ ok: false, reason: "illegal" });
    }
  });

  it("leaves the timings the consumer knows", () => {
    const told = after(stalled, at, account({ ttftMs: null, providerMs: 59_000 }));
    expect(told.attempts).toMatchObject([{ ttftMs: 620, providerMs: 59_000, endedAt: at }]);
  });

  it("that the provider never took on has cost nothing", () => {
    const told = after(stalled, at, account({ usage: null, taken: false }));
    expect(told.attempts).toMatchObject([{ usage: null, costUsd: 0 }]);
  });

  it.each<[string, Job, Command]>([
    ["that knows no more than the estimate", stalled, account({ usage: null })],
    ["of an attempt that runs", started(), COMMANDS.account],
    ["of a job that was never begun", accepted(), COMMANDS.account],
    ["of nobody's attempt", stalled, { ...COMMANDS.account, token: "token-0" }],
    [
      "of an attempt that reported its end itself",
      after(started(), NOW, COMMANDS.fail),
      COMMANDS.account,
    ],
    ["of a job that was deleted", after(SINCE.cancelled, at, COMMANDS.delete), COMMANDS.account],
  ])("%s changes nothing", (_, job, command) => {
    expect(transition(frozen(job), command, at)).toEqual({ ok: false, reason: "illegal" });
  });
});

describe("invariant 10: a call whose provider reported no usage", () => {
  const silent: CallReport = { ...REPORT, usage: null };
  const said = { ...COMMANDS.append, text: "é".repeat(100) };

  it("that answered is estimated, in its attempt and in its answer alike", () => {
    const end = { ...COMMANDS.complete, part: 1, text: "x".repeat(200), report: silent };
    const job = after(started(), NOW, said, { ...end, answer: { ...ANSWER, usage: null } });
    const usage = { prompt_tokens: 12, completion_tokens: 100, total_tokens: 112, estimated: true };
    expect(job).toMatchObject({ answer: { usage }, attempts: [{ usage, costUsd: 0.00103 }] });
  });

  it("is estimated by all that came, where its consumer knows more than was appended", () => {
    const report = { ...silent, answerBytes: 400 };
    const job = after(started(), NOW, said, { ...COMMANDS.fail, report });
    expect(job.attempts).toMatchObject([{ usage: { completion_tokens: 100, estimated: true } }]);
  });

  it("that failed in mid-answer is estimated by what had come", () => {
    const job = after(started(), NOW, said, { ...COMMANDS.fail, report: silent });
    expect(job.attempts).toMatchObject([{ usage: { completion_tokens: 50, estimated: true } }]);
  });

  it("that was refused has used nothing and cost nothing", () => {
    const refused = { ...silent, taken: false };
    const job = after(started(), NOW, { ...COMMANDS.fail, report: refused });
    expect(job.attempts).toMatchObject([{ usage: null, costUsd: 0 }]);
  });

  it("has no cost where the price is not known", () => {
    const [route] = started().spec.routes;
    if (route === undefined) throw new Error("a job has a route");
    const job = after(started({ routes: [{ ...route, price: null }] }), NOW, COMMANDS.complete);
    expect(job.attempts).toMatchObject([{ usage: ANSWER.usage, costUsd: null }]);
  });
});

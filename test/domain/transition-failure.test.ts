import { describe, expect, it } from "vitest";

import { STALLED, type Failure } from "../../src/domain/failure.ts";
import type { Command } from "../../src/domain/command.ts";
import {
  accepted,
  after,
  CLAUDE,
  COMMANDS,
  COST,
  GPT,
  MINUTE,
  NOW,
  REFUSED,
  SECOND,
  started,
  UNAVAILABLE,
} from "./fixtures.ts";

const two = { routes: [GPT, CLAUDE] };

function failWith(failure: Failure): Command {
  return { ...COMMANDS.fail, failure };
}

describe("where a failure leads", () => {
  it("backs off twice as long after each failure of the same model, and calls it again", () => {
    const once = after(started(), NOW, COMMANDS.fail);
    const again = after(once, NOW + 5 * SECOND, COMMANDS.lease, COMMANDS.fail);
    expect(again).toMatchObject({ status: "queued", route: 0, readyAt: NOW + 15 * SECOND });
  });

  it("waits as long as the provider asks", () => {
    const asked = failWith({ ...UNAVAILABLE, retryAfterMs: 42 * SECOND });
    expect(after(started(), NOW, asked)).toMatchObject({ readyAt: NOW + 42 * SECOND });
  });

  it("goes to the fallback at once, whose own attempts are counted anew", () => {
    const fallback = after(started({ ...two, maxAttempts: 2 }), NOW, failWith(REFUSED));
    expect(fallback).toMatchObject({ route: 1, readyAt: NOW });
    const retried = after(fallback, NOW, COMMANDS.lease, COMMANDS.fail);
    expect(retried).toMatchObject({ status: "queued", route: 1, readyAt: NOW + 5 * SECOND });
    const over = after(retried, NOW + 5 * SECOND, COMMANDS.lease, COMMANDS.fail);
    expect(over.status).toBe("failing");
    expect(over.attempts.map(({ number, route }) => [number, route])).toEqual([
      [1, 0],
      [2, 1],
      [3, 1],
    ]);
  });

  it("does not wait after a stalled attempt, which says nothing of the provider", () => {
    const job = after(started(), NOW + MINUTE, COMMANDS.wake);
    expect(job).toMatchObject({ readyAt: NOW + MINUTE });
    expect(job.attempts).toMatchObject([{ failure: STALLED, usage: { estimated: true } }]);
  });

  it("a job that was never started fails as expired, an undeliverable one as internal", () => {
    const expired = after(accepted({ startBy: NOW }), NOW, COMMANDS.wake, COMMANDS.dead_letter);
    expect(expired).toMatchObject({ status: "failed", failure: { code: "expired" } });
    const undelivered = after(accepted(), NOW, COMMANDS.give_up, COMMANDS.dead_letter);
    expect(undelivered).toMatchObject({ status: "failed", failure: { code: "internal" } });
  });

  it("invariant 10: the usage and cost of a call that failed are kept with its attempt", () => {
    const { attempts } = after(started(), NOW, COMMANDS.fail);
    expect(attempts).toMatchObject([{ outcome: "failed", usage: COMMANDS.fail.report.usage }]);
    expect(attempts[0]?.costUsd).toBe(COST);
  });

  it("a cancelled attempt ends with its job and keeps no lease", () => {
    const job = after(started(), NOW + SECOND, COMMANDS.append, COMMANDS.cancel);
    expect(job).not.toHaveProperty("lease");
    expect(job.attempts).toMatchObject([{ outcome: "cancelled", endedAt: NOW + SECOND }]);
  });
});

import { describe, expect, it } from "vitest";

import type { Command } from "../../src/domain/command.ts";
import { wakeAt, type Job } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import {
  accepted,
  after,
  BROKEN,
  COMMANDS,
  CURIOUS,
  DAY,
  DELIVERED,
  frozen,
  GIVING_UP,
  NOW,
  SECOND,
  started,
  taken,
  WEBHOOK,
} from "./fixtures.ts";

const START = "msg_uid-of-test-123_2";
const told = { webhook: CURIOUS, retentionMs: SECOND };

/** A job of each status whose webhook was told of its start, but for the one that has not started. */
const JOBS: [string, Job][] = [
  ["waits for its next attempt", after(started(told), NOW, COMMANDS.fail)],
  ["runs", started(told)],
  ["has given up", after(started(told), NOW, GIVING_UP)],
  ["has completed", after(started(told), NOW, COMMANDS.complete)],
  ["has failed", after(started(told), NOW, GIVING_UP, COMMANDS.dead_letter)],
  ["was cancelled", after(started(told), NOW, COMMANDS.cancel)],
];

function settling(over: Partial<Extract<Command, { type: "settle" }>> = {}): Command {
  return { ...COMMANDS.settle, deliveryId: START, ...over };
}

function effectsOf(job: Job, command: Command, at = NOW): string[] {
  return taken(transition(frozen(job), command, at)).effects.map(({ type }) => type);
}

describe.each(JOBS)("a job that %s", (_, job) => {
  it("hears how a delivery went, and nothing else of it changes (invariant 7)", () => {
    const { outbox, ...rest } = job;
    for (const outcome of [DELIVERED, BROKEN]) {
      const result = taken(transition(frozen(job), settling({ outcome }), NOW + 30));
      const { outbox: settled, ...same } = result.job;
      expect(same).toEqual(rest);
      expect(settled[0]?.attempts).toHaveLength(1);
      expect(outbox[0]?.attempts).toHaveLength(0);
      expect(result.events).toEqual([]);
      expect(result.effects).toEqual([]);
    }
  });

  it("hears it once, however often it is told, and of a delivery it does not know never", () => {
    const once = after(job, NOW + 30, settling());
    expect(after(once, NOW + 60, settling()).outbox).toBe(once.outbox);
    expect(after(job, NOW, settling({ deliveryId: "msg_nobody_2" })).outbox).toBe(job.outbox);
    expect(effectsOf(job, { type: "replay", deliveryId: "msg_nobody_2" })).toEqual([]);
  });

  it("owes a delivery again that is asked for, and tells of it at once", () => {
    const settled = after(job, NOW + 30, settling());
    const command: Command = { type: "replay", deliveryId: START };
    expect(effectsOf(settled, command, NOW + SECOND)).toEqual(["deliver"]);
    const again = after(settled, NOW + SECOND, command);
    expect(again.outbox[0]).toMatchObject({ id: START, status: "pending", isReplay: true });
    expect(again.status).toBe(job.status);
    expect(wakeAt(again)).toBeLessThanOrEqual(NOW + 31 * SECOND);
  });

  it("is woken for what it owes (invariant 2)", () => {
    const at = NOW + 30 * SECOND;
    expect(wakeAt(job)).toBeLessThanOrEqual(at);
    expect(effectsOf(job, COMMANDS.wake, at)).toContain("deliver");
    expect(effectsOf(job, COMMANDS.wake, NOW + 1)).toEqual([]);
  });
});

it("a job that is accepted, and one without a webhook, owe nothing", () => {
  expect(accepted(told).outbox).toEqual([]);
  expect(after(started(), NOW, COMMANDS.complete).outbox).toEqual([]);
});

describe("a job that has ended", () => {
  const ends = JOBS.slice(3);

  it.each(ends)("as one that %s is kept until all it owes is settled, then goes", (_, job) => {
    const over = NOW + 60 * DAY;
    const kept = after(job, over, COMMANDS.wake);
    expect(kept.status).toBe(job.status);
    const told = kept.outbox.reduce(
      (at, { id: deliveryId, seq }) =>
        after(at, over, settling({ deliveryId, token: `pass-${seq}` })),
      kept,
    );
    expect(wakeAt(told)).toBeLessThanOrEqual(over);
    expect(after(told, over, COMMANDS.wake)).toMatchObject({ status: "purged", outbox: [] });
  });

  it.each(ends)("as one that %s drops what it owes when it is deleted", (_, job) => {
    const deleted = after(job, NOW + 1, COMMANDS.delete);
    expect(deleted).toMatchObject({ status: "purged", outbox: [] });
    expect(deleted.spec).not.toHaveProperty("webhook");
    expect(transition(deleted, settling(), NOW + 2)).toEqual({ ok: false, reason: "illegal" });
  });

  it("tells the operator once of an end that was given up", () => {
    let job: Job = after(started({ webhook: WEBHOOK }), NOW, COMMANDS.complete);
    const deliveryId = `msg_uid-of-test-123_${job.seq}`;
    for (let made = 1; made <= 12; made++) {
      const command = settling({ deliveryId, token: `pass-${made}`, outcome: BROKEN });
      const at = NOW + made * DAY;
      expect(effectsOf(job, command, at)).toEqual(made === 12 ? ["undelivered"] : []);
      job = after(job, at, command);
      expect(effectsOf(job, command, at)).toEqual([]);
    }
    expect(job.outbox).toMatchObject([{ status: "failed", tries: 12 }]);
  });
});

import { describe, expect, it } from "vitest";

import type { Job } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import { accepted, COMMANDS, HOUR, NOW, SECOND, started, taken } from "./fixtures.ts";
import { PermitWorld } from "./permit-world.ts";

const delayed = accepted({ runAt: NOW + HOUR });

describe("a job withdraws its wish", () => {
  it.each([
    ["where it is cancelled while it waits", accepted(), COMMANDS.cancel, true],
    ["where the queue has given its message up", accepted(), COMMANDS.give_up, true],
    ["not where it is called", accepted(), COMMANDS.lease, false],
    ["not where it is cancelled in its call", started(), COMMANDS.cancel, false],
    ["not where it was not due, and nobody has asked for it", delayed, COMMANDS.cancel, false],
  ] as const)("%s", (_, job: Job, command, withdraws) => {
    const { effects } = taken(transition(job, command, NOW + SECOND));
    const withdrawn = effects.filter(({ type }) => type === "withdraw");
    expect(withdrawn).toEqual(
      withdraws ? [{ type: "withdraw", provider: "openai", since: NOW }] : [],
    );
  });
});

it("ten thousand jobs that are cancelled while they wait cost their tenant no turn", () => {
  const world = new PermitWorld({ requests: 600, tokens: null }, { callMs: SECOND });
  const cancelled = world.submit("normal", "a", 10_000);
  const [last] = world.submit("normal", "a", 1, { fromMs: 20 * SECOND });
  world.run(15 * SECOND);
  for (const { job, lane, tenant, priority, at: since } of cancelled) {
    world.desk.withdraw({ job, lane, tenant, priority, since }, world.now);
  }
  expect(world.parked.size).toBe(0);
  world.run(10 * SECOND);
  expect(last?.calledAt).toBeLessThan(NOW + 22 * SECOND);
});

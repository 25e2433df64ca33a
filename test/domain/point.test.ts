import { describe, expect, it } from "vitest";

import type { Job } from "../../src/domain/job.ts";
import { pointOf } from "../../src/domain/point.ts";
import { statsFactOf } from "../../src/domain/stats-fact.ts";
import { transition } from "../../src/domain/transition.ts";
import type { Command } from "../../src/domain/command.ts";
import {
  accepted,
  CLAUDE,
  COMMANDS,
  GPT,
  LLM_STEP,
  MINUTE,
  NOW,
  REFUSED,
  SECOND,
  taken,
  TEMPLATE_STEP,
} from "./fixtures.ts";

/** Gives the commands, each at its time, and says what points are written. */
function points(first: Job, ...commands: [number, Command][]) {
  let job = first;
  return commands.flatMap(([now, command]) => {
    const next = taken(transition(job, command, now));
    job = next.job;
    return next.events.flatMap((event) => {
      const fact = statsFactOf("name", next.job, event);
      return fact === null ? [] : (pointOf(next.job, fact) ?? []);
    });
  });
}

describe("a point", () => {
  it("is written of the start and the end, each value in its place for ever", () => {
    expect(
      points(
        accepted(),
        [NOW + 40, COMMANDS.lease],
        [NOW + SECOND, COMMANDS.append],
        [NOW + 8 * SECOND, { ...COMMANDS.complete, part: 1 }],
      ),
    ).toEqual([
      {
        indexes: ["acme"],
        blobs: ["started", "gpt-4o", "openai", "", "", "high"],
        doubles: [40, -1, -1, 0, 0, 0, 0, 1],
      },
      {
        indexes: ["acme"],
        blobs: ["ended", "gpt-4o", "openai", "completed", "", "high"],
        doubles: [-1, 620, 8_000, 9, 90, 0.0009225, 0, 1],
      },
    ]);
  });

  it("is written of each retry, with who failed and with what", () => {
    const [, retried, , ended] = points(
      accepted({ routes: [GPT, CLAUDE] }),
      [NOW, COMMANDS.lease],
      [NOW, { ...COMMANDS.fail, failure: REFUSED }],
      [NOW + MINUTE, COMMANDS.lease],
      [NOW + MINUTE, COMMANDS.complete],
    );
    expect(retried?.blobs.slice(0, 5)).toEqual([
      "retried",
      "gpt-4o",
      "openai",
      "",
      "provider_rejected",
    ]);
    expect(ended?.blobs.slice(0, 4)).toEqual(["ended", "gpt-4o", "anthropic", "completed"]);
  });

  it("names who answered last, and no step that calls nobody", () => {
    const ended = points(
      accepted({ steps: [LLM_STEP, TEMPLATE_STEP] }),
      [NOW, COMMANDS.lease],
      [NOW, COMMANDS.complete],
      [NOW, COMMANDS.lease],
      [NOW, COMMANDS.complete],
    ).at(-1);
    expect(ended?.blobs.slice(0, 4)).toEqual(["ended", "gpt-4o", "openai", "completed"]);
  });

  it("is written of a job that never ran", () => {
    const [cancelled] = points(accepted(), [NOW + SECOND, COMMANDS.cancel]);
    expect(cancelled).toMatchObject({
      blobs: ["ended", "gpt-4o", "openai", "cancelled", "", "high"],
      doubles: [-1, -1, SECOND, 0, 0, 0, 0, 0],
    });
  });

  it("has an index that fits, in whole characters", () => {
    const tenant = `${"a".repeat(95)}é`;
    const [started] = points(accepted({ tenant }), [NOW, COMMANDS.lease]);
    expect(started?.indexes).toEqual(["a".repeat(95)]);
  });

  it("is not written of what no job says of itself", () => {
    expect(pointOf(accepted(), { type: "undelivered", job: "name" })).toBeNull();
  });
});

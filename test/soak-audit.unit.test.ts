import { describe, expect, it } from "vitest";

import { audit } from "../soak/audit.ts";
import { Journal, type Entry, type Found } from "../soak/journal.ts";
import type { JobEvent } from "../src/schema/event.ts";
import type { JobView } from "../src/schema/job.ts";
import type { Call } from "./support/provider-server.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
const at = new Date(START + 1_000).toISOString();

/** A job that lost its first call and was answered in its second, and the two calls. */
function sound() {
  const journal = new Journal();
  const entry = journal.open({ prompt: "Why?", tokens: 2, maxAttempts: 2, key: "k" });
  Object.assign(entry, { id: "k", accepted: 1 } satisfies Partial<Entry>);
  const facts = [
    { type: "queued", priority: "default" },
    { type: "started", attempt: 1, model: "gpt-4o", provider: "openai" },
    { type: "attempt_failed", attempt: 1, error: "x", error_code: "timeout", retry_at: at },
    { type: "started", attempt: 2, model: "gpt-4o", provider: "openai" },
    { type: "delta", attempt: 2, delta: "a2.0 " },
    { type: "delta", attempt: 2, delta: "a2.1 " },
    { type: "completed", result: { content: "a2.0 a2.1 " } },
  ];
  const log = facts.map(
    (fact, index) => Object.assign(fact, { job_id: "k", seq: index + 1, at }) as JobEvent,
  );
  const result = { content: "a2.0 a2.1 " };
  const view = { status: "completed", attempts_made: 2, last_seq: 7, result } as JobView;
  const calls = [
    { id: 1, prompt: "Why?", startedAt: START, finished: false },
    { id: 2, prompt: "Why?", startedAt: START + 500, finished: true },
  ] as Call[];
  const found: Found = { entry, id: "k", view, log };
  return { journal, found, view, calls };
}

type World = ReturnType<typeof sound>;

function told({ journal, found, calls }: World): string[] {
  audit([found], calls, journal);
  return journal.violations.map(({ what }) => what);
}

describe("the soak's audit", () => {
  it("finds nothing wrong with a job that is right", () => {
    expect(told(sound())).toEqual([]);
  });

  it.each<[string, RegExp, (world: World) => unknown]>([
    ["that is not there", /is not there/, ({ found }) => (found.view = null)],
    ["accepted twice", /accepted 2 times/, ({ found }) => (found.entry.accepted = 2)],
    ["replayed, but never accepted", /never accepted/, ({ found }) => (found.entry.accepted = 0)],
    [
      "that was deleted and is there",
      /still there/,
      ({ found }) => (found.entry.deletedAt = START),
    ],
    ["with a gap in its log", /a gap/, ({ found }) => found.log.splice(4, 1)],
    ["with two ends", /2 terminal/, ({ found }) => found.log.push(...found.log.slice(-1))],
    ["without an end", /0 terminal/, ({ found }) => found.log.pop()],
    ["that is not what its log says", /but it is failed/, ({ view }) => (view.status = "failed")],
    [
      "cancelled and yet completed",
      /cancelled, now/,
      ({ found }) => (found.entry.cancelled = "cancelled"),
    ],
    [
      "with another log for one reader",
      /another log/,
      ({ found }) => found.entry.seen.push({} as JobEvent),
    ],
    ["with text of two calls", /no call said/, ({ view }) => (view.result!.content = "a1.0 a2.1 ")],
    ["with half an answer", /no call said/, ({ calls }) => (calls[1]!.finished = false)],
    [
      "whose deltas are another's",
      /deltas do not/,
      ({ found }) => found.log.splice(5, 1, found.log[4]!),
    ],
    [
      "with an attempt too many",
      /2 attempts, 1 allowed/,
      ({ found }) => (found.entry.maxAttempts = 1),
    ],
    ["with a call too many", /3 calls for 2/, ({ calls }) => calls.push(calls[0]!)],
    [
      "with a call after its end",
      /after the end/,
      ({ calls }) => (calls[0]!.startedAt = START + 2_000),
    ],
  ])("finds the job %s", (_, what, breaks) => {
    const world = sound();
    breaks(world);
    expect(told(world).join("\n")).toMatch(what);
  });
});

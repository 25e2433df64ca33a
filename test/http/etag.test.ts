import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { etagOf, namesVersion } from "../../src/http/etag.ts";
import type { JobView } from "../../src/schema/job.ts";

const QUEUED: JobView = {
  job_id: "test-123",
  status: "queued",
  submitted_at: "2026-11-01T12:00:00.000Z",
  model: "gpt-4o",
  provider: "openai",
  priority: "default",
  priority_level: 5,
  progress: 0,
  step: "",
  attempts_made: 0,
  last_seq: 1,
  user: null,
  metadata: {},
  batch_id: null,
  replay_of: null,
  cost_usd: 0,
  wasted_cost_usd: 0,
  queue_position: 3,
  estimated_wait: 2,
};
const RESULT = {
  content: "Because.",
  model: "gpt-4o-2024-08-06",
  finish_reason: "stop",
  tool_calls: [],
  usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
} as JobView["result"];

const changes: [string, Partial<JobView>][] = [
  ["its status", { status: "active" }],
  ["its progress", { progress: 10 }],
  ["its step", { step: "Starting LLM API call" }],
  ["its model", { model: "gpt-4o-mini" }],
  ["its attempts", { attempts_made: 1 }],
  ["when it is tried again", { retry_at: "2026-11-01T12:00:05.000Z" }],
  ["when it started", { started_at: "2026-11-01T12:00:01.000Z" }],
  ["what it cost", { cost_usd: 0.001 }],
  ["what it cost in vain", { wasted_cost_usd: 0.001 }],
  ["the length of its text", { partial_output: "Be" }],
  ["its failure", { error: "No", error_code: "timeout" }],
];

describe("the version of a job", () => {
  it.each(changes)("is another with %s", async (_what, change) => {
    expect(await etagOf({ ...QUEUED, ...change })).not.toBe(await etagOf(QUEUED));
  });

  it.each<[string, Partial<JobView>]>([
    ["its place in the queue", { queue_position: 1 }],
    ["its estimated wait", { estimated_wait: 1 }],
    ["the text that was said since", { last_seq: 50 }],
    ["a result, which its status tells of", { result: RESULT }],
    ["no text yet", { partial_output: "" }],
  ])("is the same with %s", async (_what, change) => {
    expect(await etagOf({ ...QUEUED, ...change })).toBe(await etagOf(QUEUED));
  });

  it("is the same however its text reads, if it is as long", async () => {
    const etag = await etagOf({ ...QUEUED, partial_output: "abc" });
    expect(await etagOf({ ...QUEUED, partial_output: "abd" })).toBe(etag);
    expect(await etagOf({ ...QUEUED, partial_output: "abcd" })).not.toBe(etag);
  });

  it("is a weak entity tag, whatever the job (RFC 9110, 8.8.3)", async () => {
    const job = fc.record({ step: fc.string(), metadata: fc.dictionary(fc.string(), fc.string()) });
    await fc.assert(
      fc.asyncProperty(job, async (change) => {
        const view = { ...QUEUED, ...change };
        expect(await etagOf(view)).toMatch(/^W\/"[0-9a-f]{24}"$/);
        expect(await etagOf(structuredClone(view))).toBe(await etagOf(view));
      }),
    );
  });
});

describe("If-None-Match", () => {
  const TAG = 'W/"abc"';
  it.each([['W/"abc"'], ['"abc"'], ['"x", W/"abc"'], ['"x","abc","y"'], ["*"], ['  W/"abc"  ']])(
    "%s names the version",
    (header) => {
      expect(namesVersion(header, TAG)).toBe(true);
    },
  );

  it.each([[undefined], [""], ['"x"'], ['W/"abcd"'], ['"ab", "c"'], ["abc"], ['w/"abc"']])(
    "%s does not name the version",
    (header) => {
      expect(namesVersion(header, TAG)).toBe(false);
    },
  );
});

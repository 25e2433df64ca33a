import { describe, expect, it } from "vitest";

import { causeOf, previewOf, summaryOf, type DeadLetter } from "../../src/domain/dead-letter.ts";
import type { CreateJob, KeptRequest } from "../../src/schema/job.ts";

function letterOf(overrides: Partial<DeadLetter> = {}): DeadLetter {
  return {
    dlqId: "dlq_1",
    jobId: "test-123",
    tenant: "acme",
    tier: "default",
    model: "gpt-4o",
    provider: "openai",
    error: "The provider is unavailable (HTTP 503)",
    errorCode: "provider_unavailable",
    submittedAt: 1,
    failedAt: 2,
    attempts: [],
    request: { prompt: "Why is the sky blue?" },
    ...overrides,
  };
}

describe("a preview", () => {
  const parts: CreateJob["messages"] = [
    {
      role: "user",
      content: [
        { type: "text", text: "What is " },
        { type: "image_url", image_url: { url: "https://images.example/x" } },
        { type: "text", text: "this?" },
      ],
    },
  ];
  it.each<[string, KeptRequest, string]>([
    ["is the prompt", { prompt: "Why?" }, "Why?"],
    ["is its first 100 characters", { prompt: "x".repeat(101) }, "x".repeat(100)],
    ["splits no character", { prompt: "🦉".repeat(101) }, "🦉".repeat(100)],
    [
      "is what the user said last",
      {
        messages: [
          { role: "user", content: "first" },
          { role: "user", content: "last" },
          { role: "assistant", content: "answer" },
        ],
      },
      "last",
    ],
    ["is the text of a message in parts", { messages: parts }, "What is this?"],
    [
      "is of the first step that calls a model",
      {
        steps: [
          { name: "a", type: "template", template: "no" },
          { name: "b", type: "llm", messages: [{ role: "user", content: "{{input}}?" }] },
          { name: "c", type: "llm", prompt: "later" },
        ],
      },
      "{{input}}?",
    ],
    ["is empty where the user said nothing", { messages: [{ role: "system", content: "x" }] }, ""],
  ])("%s", (_, request, preview) => {
    expect(previewOf(request)).toBe(preview);
  });
});

describe("a fingerprint", () => {
  it("is 16 hex digits, and the same for the same failure of other jobs", () => {
    const others = [letterOf({ tenant: "other", model: "gpt-4o-mini" }), letterOf({ failedAt: 9 })];
    const fingerprint = causeOf(letterOf());
    expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
    for (const other of others) expect(causeOf(other)).toBe(fingerprint);
  });

  it("is known for ever, so that groups outlive a deploy", () => {
    expect(causeOf(letterOf())).toBe("c8bec917b10139e6");
  });

  it("differs where code, text or provider does, wherever one ends and the next begins", () => {
    const letters = [
      letterOf(),
      letterOf({ errorCode: "timeout" }),
      letterOf({ error: "The provider is unavailable (HTTP 502)" }),
      letterOf({ provider: "anthropic" }),
      letterOf({ error: 'x","openai', provider: "" }),
      letterOf({ error: "x", provider: 'openai",""' }),
    ];
    expect(new Set(letters.map(causeOf)).size).toBe(letters.length);
  });
});

describe("a summary", () => {
  it("has nothing that may be heavy", () => {
    const heavy = letterOf({ request: { prompt: "x".repeat(1_000_000) } });
    expect(JSON.stringify(summaryOf(heavy)).length).toBeLessThan(1_000);
  });
});

import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { describe, expect, it } from "vitest";

import { AnswerBuilder } from "../../src/provider/answer.ts";

type Delta = ChatCompletionChunk.Choice.Delta;
type ToolCallPart = ChatCompletionChunk.Choice.Delta.ToolCall;
type FinishReason = ChatCompletionChunk.Choice["finish_reason"];

const ROOM_FOR_TOOL_CALLS = 524_288;

/** The outcome of chunks with these deltas, and the text that was handed on. */
function answered(deltas: Delta[], finish: FinishReason = "stop", maxBytes = 1_000) {
  let text = "";
  const answer = new AnswerBuilder(maxBytes, (more) => (text += more));
  for (const delta of deltas) {
    if (!answer.full) answer.add(chunk(delta));
  }
  if (!answer.full && finish !== null) answer.add(chunk({}, finish));
  return { text, full: answer.full, outcome: answer.finish(null) };
}

function chunk(delta: Delta, finish_reason: FinishReason = null): Partial<ChatCompletionChunk> {
  return { model: "gpt-4o", choices: [{ index: 0, delta, finish_reason }] };
}

function call(index: number, text: string): ToolCallPart {
  return { index, id: `call_${index}`, function: { name: "weather", arguments: text } };
}

/** The tool call that one part makes. */
function callOf({ id, function: words }: ToolCallPart) {
  return { id, type: "function", function: words };
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

describe("text for which there is no room", () => {
  it.each([
    ["a", 10, 10],
    ["é", 11, 10],
    ["€", 11, 9],
    ["😀", 11, 8],
    ["😀", 3, 0],
  ])("of %s is cut at %i bytes, splitting no character", (character, room, kept) => {
    const { text, full, outcome } = answered([{ content: character.repeat(1_000) }], "stop", room);
    expect(text).toBe(character.repeat(kept / bytesOf(character)));
    expect(full).toBe(true);
    expect(outcome).toMatchObject({
      ok: true,
      answer: { finish_reason: "length" },
      answerBytes: kept,
    });
  });

  it("is cut in the chunk that brings it, and what came before is whole", () => {
    const { text, outcome } = answered([{ content: "12345678" }, { content: "90abc" }], "stop", 10);
    expect(text).toBe("1234567890");
    expect(outcome).toMatchObject({ answer: { finish_reason: "length" }, answerBytes: 10 });
  });
});

describe("tool calls for which there is no room", () => {
  it("are left out if they come in one chunk, so that the answer fits its row", () => {
    const { full, outcome } = answered([{ tool_calls: [call(0, "x".repeat(4_000_000))] }]);
    expect(full).toBe(true);
    expect(outcome).toMatchObject({
      ok: true,
      answer: { finish_reason: "length", tool_calls: [] },
      begun: true,
      answerBytes: 0,
    });
  });

  it("leave those before them as they are, and any behind them out", () => {
    const first = call(0, '{"city":"Rome"}');
    const behind = [call(1, "x".repeat(ROOM_FOR_TOOL_CALLS)), call(2, "{}")];
    const { outcome } = answered([{ tool_calls: [first] }, { tool_calls: behind }]);
    expect(outcome).toMatchObject({
      ok: true,
      answer: { finish_reason: "length", tool_calls: [callOf(first)] },
    });
  });

  it("are never more than there is room for, however they are cut into parts", () => {
    const parts = Array.from({ length: 100 }, () => ({ tool_calls: [call(0, "x".repeat(9_999))] }));
    const { outcome } = answered(parts);
    expect(outcome).toMatchObject({ ok: true, answer: { finish_reason: "length" } });
    expect(outcome.answerBytes).toBeGreaterThan(ROOM_FOR_TOOL_CALLS - 20_000);
    expect(outcome.answerBytes).toBeLessThanOrEqual(ROOM_FOR_TOOL_CALLS);
  });
});

describe("what a provider calls itself and its reason", () => {
  it("is cut short, for it is kept with the job", () => {
    const answer = new AnswerBuilder(1_000, () => {});
    const endless = "x".repeat(1_000_000);
    const choice = { index: 0, delta: { content: "Hi" }, finish_reason: endless as "stop" };
    answer.add({ model: endless, choices: [choice] });
    const outcome = answer.finish(null);
    expect(JSON.stringify(outcome).length).toBeLessThan(1_000);
  });
});

describe("what came of an answer", () => {
  it("is nothing if there was no chunk", () => {
    expect(answered([], null).outcome).toMatchObject({ ok: false, begun: false, answerBytes: 0 });
  });

  it("has begun with a chunk that says nothing", () => {
    const silent = answered([{ role: "assistant", content: "" }], null);
    expect(silent.outcome).toMatchObject({ ok: false, begun: true, answerBytes: 0 });
  });

  it.each(["stop", "content_filter", null] as const)(
    "is counted in bytes of UTF-8, its tool calls with it, if it ends with %s",
    (finish) => {
      const part = call(0, '{"city":"Köln"}');
      const { outcome } = answered([{ content: "é€😀" }, { tool_calls: [part] }], finish);
      const calls = JSON.stringify([callOf(part)]);
      expect(outcome).toMatchObject({ ok: finish === "stop", begun: true });
      expect(outcome.answerBytes).toBe(bytesOf("é€😀") + bytesOf(calls));
    },
  );
});

/** The outcome of so many chunks of four bytes, with ten tokens paid for. */
function paid(chunks: number, finish: FinishReason, delta: Delta = { content: "word" }) {
  const answer = new AnswerBuilder(1_000, () => {}, 10);
  let taken = 0;
  for (; taken < chunks && !answer.overspent; taken++) answer.add(chunk(delta));
  if (taken === chunks) answer.add(chunk({}, finish));
  return { taken, outcome: answer.finish(null) };
}

describe("an answer of which less is paid for than is asked for", () => {
  it("is not whole where it ends at its limit, and is where it ends by itself", () => {
    expect(paid(10, "length").outcome).toMatchObject({ ok: false, error: { kind: "budget" } });
    expect(paid(10, "stop").outcome).toMatchObject({ ok: true });
  });

  it("is stopped a quarter beyond, text or tool calls, where the provider goes on", () => {
    const asked = { tool_calls: [{ index: 0, function: { arguments: "word" } }] };
    for (const delta of [{ content: "word" }, asked]) {
      const { taken, outcome } = paid(100, "stop", delta);
      expect([taken, outcome]).toMatchObject([13, { ok: false, error: { kind: "budget" } }]);
    }
  });

  it("is whole where it is all that is kept of any answer", () => {
    const answer = new AnswerBuilder(8, () => {}, 10);
    answer.add(chunk({ content: "word word word" }));
    expect(answer.finish(null)).toMatchObject({ ok: true, answer: { finish_reason: "length" } });
  });
});

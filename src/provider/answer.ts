import type { ChatCompletionChunk } from "openai/resources/chat/completions";

import type { CallError } from "../domain/failure.ts";
import type { Answer } from "../domain/job.ts";
import { Usage, type ToolCall } from "../schema/chat.ts";

/** How a call ended, and the usage it reported by then. */
export type CallOutcome = { usage: Usage | null } & (
  | { ok: true; answer: Answer }
  | { ok: false; error: CallError }
);

/** Most bytes of tool calls. They are kept in one row with the job, and a row holds 2 MB (platform limit). */
const MAX_TOOL_CALL_BYTES = 524_288;

const encoder = new TextEncoder();

/** Puts an answer together from its chunks, handing text on as it comes. Trusts no chunk to be well formed. */
export class AnswerBuilder {
  /** Something has come. */
  begun = false;
  /** No more will be taken: what there is counts as if the model had reached its token limit. */
  full = false;
  readonly #maxBytes: number;
  readonly #onText: (text: string) => void;
  readonly #toolCalls = new Map<number, ToolCall>();
  #textBytes = 0;
  #toolCallBytes = 0;
  #model = "";
  #finishReason: string | null = null;
  #usage: Usage | null = null;

  constructor(maxBytes: number, onText: (text: string) => void) {
    this.#maxBytes = maxBytes;
    this.#onText = onText;
  }

  /** The model has said that it is done. */
  get finished(): boolean {
    return this.#finishReason !== null;
  }

  add(chunk: Partial<ChatCompletionChunk>): void {
    this.begun = true;
    if (typeof chunk.model === "string") this.#model = chunk.model;
    const usage = Usage.safeParse(chunk.usage);
    if (usage.success) this.#usage = usage.data;
    const choice: Partial<ChatCompletionChunk.Choice> | undefined = chunk.choices?.[0];
    if (choice === undefined) return;
    this.#finishReason = choice.finish_reason ?? this.#finishReason;
    for (const part of choice.delta?.tool_calls ?? []) this.#addToolCall(part);
    // A refusal is what the model has to say; it is its text.
    this.#addText(choice.delta?.content ?? choice.delta?.refusal ?? "");
    if (!this.full) return;
    this.#finishReason = "length";
  }

  /** How the call ended. `broke`: what broke it off, if anything did; once the model is done it no longer matters. */
  finish(broke: CallError | null): CallOutcome {
    const error = this.#errorOf(broke);
    if (error !== null) return { ok: false, error, usage: this.#usage };
    const answer: Answer = {
      model: this.#model,
      finish_reason: this.#finishReason ?? "stop",
      tool_calls: [...this.#toolCalls.values()],
      usage: this.#usage,
    };
    return { ok: true, answer, usage: this.#usage };
  }

  #errorOf(broke: CallError | null): CallError | null {
    switch (this.#finishReason) {
      case null:
        return broke ?? { kind: this.begun ? "cut" : "empty" };
      case "content_filter":
        return { kind: "content_filter" };
      case "length":
        // All its tokens may have gone into thinking. Asked again it would do the same.
        return null;
      default:
        return this.#textBytes + this.#toolCalls.size === 0 ? { kind: "empty" } : null;
    }
  }

  #addText(text: string): void {
    if (text === "") return;
    this.#textBytes += encoder.encode(text).byteLength;
    this.#onText(text);
    if (this.#textBytes >= this.#maxBytes) this.full = true;
  }

  #addToolCall(part: ChatCompletionChunk.Choice.Delta.ToolCall): void {
    const call = this.#toolCalls.get(part.index) ?? {
      id: "",
      type: "function",
      function: { name: "", arguments: "" },
    };
    const words = part.function?.arguments ?? "";
    call.id ||= part.id ?? "";
    call.function.name ||= part.function?.name ?? "";
    call.function.arguments += words;
    this.#toolCalls.set(part.index, call);
    this.#toolCallBytes += encoder.encode(JSON.stringify(part)).byteLength;
    if (this.#toolCallBytes >= MAX_TOOL_CALL_BYTES) this.full = true;
  }
}

import type { ChatCompletionChunk } from "openai/resources/chat/completions";

import { estimatedTokens } from "../domain/cost.ts";
import type { CallError } from "../domain/failure.ts";
import type { Answer } from "../domain/job.ts";
import type { Learned } from "../domain/learned.ts";
import { Usage, type ToolCall } from "../schema/chat.ts";

/** How a call ended, and what had come of it by then. */
export type CallOutcome = {
  /** As the provider reported it; null where it has not. */
  usage: Usage | null;
  /** Something of an answer had come: the provider was at work, and may bill it however the call ended. */
  begun: boolean;
  /** Bytes of UTF-8 of the text and the tool calls that were taken, whether or not the answer is whole. */
  answerBytes: number;
  /** What the provider's headers said of its limits, if there were any and they said something. */
  learned?: Learned;
} & ({ ok: true; answer: Answer } | { ok: false; error: CallError });

/** Most bytes of tool calls. They are kept in one row with the job, and a row holds 2 MB (platform limit). */
const MAX_TOOL_CALL_BYTES = 524_288;

/** Of the model's name and the finish reason: kept in the same row, and whatever a provider likes to send. */
const MAX_NAME_CHARS = 200;

/**
 * How far an answer may be beyond what is paid for, by our estimate, before it is stopped. The provider was told the limit
 * and counts exactly; ordinary English has a tenth more bytes to a token than the estimate takes.
 */
const OVERSPENT = 1.25;

const encoder = new TextEncoder();

/** Puts an answer together from its chunks, handing text on as it comes. Trusts no chunk to be well formed. */
export class AnswerBuilder {
  /** Something has come. */
  begun = false;
  /** No more will be taken: what there is counts as if the model had reached its token limit. */
  full = false;
  readonly #maxBytes: number;
  readonly #onText: (text: string) => void;
  readonly #paidTokens: number;
  readonly #toolCalls = new Map<number, ToolCall>();
  #textBytes = 0;
  #toolCallBytes = 0;
  /** Of all that the model said, without what frames it. */
  #saidBytes = 0;
  #model = "";
  #finishReason: string | null = null;
  #usage: Usage | null = null;

  /** `paidTokens`: where less is paid for than is asked for, so much; an answer that ends there is not whole. */
  constructor(maxBytes: number, onText: (text: string) => void, paidTokens = Infinity) {
    this.#maxBytes = maxBytes;
    this.#onText = onText;
    this.#paidTokens = paidTokens;
  }

  /** The provider goes on beyond what is paid for, though it was told where to stop. */
  get overspent(): boolean {
    return estimatedTokens(this.#saidBytes) > this.#paidTokens * OVERSPENT;
  }

  /** The model has said that it is done. */
  get finished(): boolean {
    return this.#finishReason !== null;
  }

  add(chunk: Partial<ChatCompletionChunk>): void {
    this.begun = true;
    if (typeof chunk.model === "string") this.#model = chunk.model.slice(0, MAX_NAME_CHARS);
    const usage = Usage.safeParse(chunk.usage);
    if (usage.success) this.#usage = usage.data;
    const choice: Partial<ChatCompletionChunk.Choice> | undefined = chunk.choices?.[0];
    if (choice === undefined) return;
    this.#finishReason = choice.finish_reason?.slice(0, MAX_NAME_CHARS) ?? this.#finishReason;
    for (const part of choice.delta?.tool_calls ?? []) {
      if (!this.full) this.#addToolCall(part);
    }
    // A refusal is what the model has to say; it is its text.
    this.#addText(choice.delta?.content ?? choice.delta?.refusal ?? "");
    if (!this.full) return;
    this.#finishReason = "length";
  }

  /** Bytes of UTF-8 of the text and the tool calls that were taken so far. */
  get answerBytes(): number {
    const calls = [...this.#toolCalls.values()];
    return this.#textBytes + (calls.length === 0 ? 0 : bytesOf(JSON.stringify(calls)));
  }

  /** How the call ended. `broke`: what broke it off, if anything did; once the model is done it no longer matters. */
  finish(broke: CallError | null): CallOutcome {
    const { begun, answerBytes } = this;
    const came = { usage: this.#usage, begun, answerBytes };
    const error = this.#errorOf(broke);
    if (error !== null) return { ok: false, error, ...came };
    const answer: Answer = {
      model: this.#model,
      finish_reason: this.#finishReason ?? "stop",
      tool_calls: [...this.#toolCalls.values()],
      usage: this.#usage,
    };
    return { ok: true, answer, ...came };
  }

  #errorOf(broke: CallError | null): CallError | null {
    switch (this.#finishReason) {
      case null:
        if (this.overspent) return { kind: "budget" };
        return broke ?? { kind: this.begun ? "cut" : "empty" };
      case "content_filter":
        return { kind: "content_filter" };
      case "length":
        if (this.#paidTokens !== Infinity && !this.full) return { kind: "budget" };
        // All its tokens may have gone into thinking. Asked again it would do the same.
        return null;
      default:
        return this.#textBytes + this.#toolCalls.size === 0 ? { kind: "empty" } : null;
    }
  }

  /** Takes as much of it as there is room for, in whole characters. */
  #addText(text: string): void {
    const bytes = bytesOf(text);
    const room = this.#maxBytes - this.#textBytes;
    if (bytes >= room) this.full = true;
    const taken = bytes > room ? beginningOf(text, room) : { text, bytes };
    if (taken.text === "") return;
    this.#textBytes += taken.bytes;
    this.#saidBytes += taken.bytes;
    this.#onText(taken.text);
  }

  /** Takes the part whole, or not at all where there is no room: half a part is no JSON either. */
  #addToolCall(part: ChatCompletionChunk.Choice.Delta.ToolCall): void {
    const bytes = bytesOf(JSON.stringify(part));
    const room = MAX_TOOL_CALL_BYTES - this.#toolCallBytes;
    if (bytes >= room) this.full = true;
    if (bytes > room) return;
    this.#toolCallBytes += bytes;
    const call = this.#toolCalls.get(part.index) ?? {
      id: "",
      type: "function",
      function: { name: "", arguments: "" },
    };
    call.id ||= part.id ?? "";
    call.function.name ||= part.function?.name ?? "";
    call.function.arguments += part.function?.arguments ?? "";
    this.#saidBytes += bytesOf(part.function?.arguments ?? "");
    this.#toolCalls.set(part.index, call);
  }
}

function bytesOf(text: string): number {
  return encoder.encode(text).byteLength;
}

/** As many of a text's characters as fit into `maxBytes`. */
function beginningOf(text: string, maxBytes: number): { text: string; bytes: number } {
  const { read, written } = encoder.encodeInto(text, new Uint8Array(maxBytes));
  return { text: text.slice(0, read), bytes: written };
}

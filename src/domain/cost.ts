import type { ChatMessage, Usage } from "../schema/chat.ts";
import type { CreateJob } from "../schema/job.ts";
import { textOf } from "./message-text.ts";

/** Dollars per million tokens; null where the price is not known beforehand. */
export type Price = { input: number | null; output: number | null };

/** What a call cost in dollars; null where the usage or the price is not known. */
export function costOf(price: Price | null, usage: Usage | null): number | null {
  if (usage === null || price?.input == null || price.output === null) return null;
  return (usage.prompt_tokens * price.input + usage.completion_tokens * price.output) / 1_000_000;
}

/** The usage of all these calls together; none of none. Estimated if any of them is. */
export function sumOfUsage(calls: Usage[]): Usage {
  const estimated = calls.some((usage) => usage.estimated === true);
  const sum = (field: "prompt_tokens" | "completion_tokens" | "total_tokens") =>
    calls.reduce((total, usage) => total + usage[field], 0);
  return {
    prompt_tokens: sum("prompt_tokens"),
    completion_tokens: sum("completion_tokens"),
    total_tokens: sum("total_tokens"),
    ...(estimated ? { estimated } : {}),
  };
}

/** Bytes of UTF-8 that make a token, by the providers' own rule of thumb for English; it holds within half for others. */
const BYTES_PER_TOKEN = 4;

/** What the chat format adds to each message, and to the whole. Source: OpenAI's cookbook on counting tokens. */
const TOKENS_PER_MESSAGE = 3;
const TOKENS_PER_REQUEST = 3;

const encoder = new TextEncoder();

/** What a request's input is likely to count: its texts and tools; of an image or a sound nothing can be told from outside. */
export function estimatedPromptTokens({ prompt, messages, params }: CreateJob): number {
  const texts = messages?.map((message) => textOf(message) + callsOf(message)) ?? [prompt ?? ""];
  const tools = params?.tools === undefined ? [] : [JSON.stringify(params.tools)];
  const bytes = [...texts, ...tools].reduce((sum, text) => sum + bytesOf(text), 0);
  return estimatedTokens(bytes) + texts.length * TOKENS_PER_MESSAGE + TOKENS_PER_REQUEST;
}

function callsOf(message: ChatMessage): string {
  return "tool_calls" in message ? JSON.stringify(message.tool_calls ?? []) : "";
}

function bytesOf(text: string): number {
  return encoder.encode(text).byteLength;
}

export function estimatedTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

/** The usage of a call whose provider reported none (docs/costs.md). */
export function estimatedUsage(promptTokens: number, answerBytes: number): Usage {
  const completionTokens = estimatedTokens(answerBytes);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    estimated: true,
  };
}

/** What of a job's own budget is left once these calls are paid, in tokens of an answer of the model called next. */
export function affordableTokens(
  budget: { maxCostUsd: number; promptTokens: number },
  calls: { costUsd: number | null }[],
  price: Price | null,
): number {
  if (price?.input == null || price.output === null) return 0;
  const spent = calls.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
  const left = (budget.maxCostUsd - spent) * 1_000_000 - budget.promptTokens * price.input;
  if (left < 0) return 0;
  return price.output === 0 ? Infinity : Math.floor(left / price.output);
}

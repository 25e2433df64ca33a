import type { CreateJob } from "../schema/job.ts";
import type { Price } from "./cost.ts";
import { nanoOf } from "./money.ts";

/** What the chat format adds to a message, with room to spare. */
const TOKENS_PER_MESSAGE = 16;

/**
 * The most that an image, a sound or a file is taken to count besides its bytes. Of one that is named by an address nothing
 * is known; the dearest image there is counts 48,169. Source: OpenAI's price list, gpt-4o-mini.
 */
const TOKENS_PER_ATTACHMENT = 50_000;

const encoder = new TextEncoder();

/** What a request's input counts at most: a token is a byte at least. */
export function mostPromptTokens({ prompt, messages = [], params = {} }: CreateJob): number {
  const { tools, response_format } = params;
  const said = JSON.stringify([prompt ?? null, messages, tools ?? null, response_format ?? null]);
  const attachments = messages.reduce((sum, message) => sum + attachmentsOf(message), 0);
  return (
    encoder.encode(said).byteLength +
    (messages.length + 1) * TOKENS_PER_MESSAGE +
    attachments * TOKENS_PER_ATTACHMENT
  );
}

function attachmentsOf({ content }: { content?: unknown }): number {
  if (!Array.isArray(content)) return 0;
  return content.filter((part: { type?: unknown }) => part.type !== "text").length;
}

export type Calls = {
  /** Of each model that may be called. */
  prices: (Price | null)[];
  /** Calls each of them may get. */
  maxAttempts: number;
  promptTokens: number;
  /** Of one answer. */
  maxTokens: number;
  /** The job's own cap. */
  maxCostUsd: number | undefined;
};

/**
 * The most a job may cost in billionths of a dollar: every call made and every answer at its longest. Null where a price
 * is not known: then no sum is enough.
 */
export function worstCaseNano(calls: Calls): number | null {
  let perRound = 0;
  for (const price of calls.prices) {
    if (price?.input == null || price.output === null) return null;
    perRound += calls.promptTokens * price.input + calls.maxTokens * price.output;
  }
  // Prices are for a million tokens, so a token at a dollar is a thousand billionths.
  const nano = Math.ceil(perRound * 1_000) * calls.maxAttempts;
  return Math.min(nano, calls.maxCostUsd === undefined ? Infinity : nanoOf(calls.maxCostUsd));
}

/** What several jobs may cost at most together; null where nobody can tell of one: what cannot be priced makes no sum. */
export function sumOfWorst(parts: (number | null)[]): number | null {
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0);
}

import OpenAI from "openai";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";

import type { Config } from "../settings/config.ts";
import type { CallError } from "../domain/failure.ts";
import type { Route } from "../domain/job.ts";
import type { Learned } from "../domain/learned.ts";
import { learnedFrom } from "../domain/rate-limit-headers.ts";
import type { CreateJob } from "../schema/job.ts";
import { AnswerBuilder, type CallOutcome } from "./answer.ts";
import { Deadlines } from "./deadlines.ts";
import { simulate } from "./simulator.ts";
import { PROVIDERS, SIMULATOR, isProvider, type Provider } from "./table.ts";

/** `maxTokens`: the longest answer that may be paid for, whatever the request asks. */
export type ModelCall = {
  route: Route;
  request: CreateJob;
  timeoutMs: number;
  maxTokens?: number;
};

/** Calls a model once. Never throws: whatever goes wrong is an outcome. */
export type CallModel = (
  call: ModelCall,
  onText: (text: string) => void,
  stop: AbortSignal,
) => Promise<CallOutcome>;

/** No consumer lives longer (platform limit, 15 minutes). */
const LONGEST_CALL_MS = 900_000;

/** After the finish reason only the usage is still to come. An answer that is all there does not wait long for it. */
const AFTER_FINISH_MS = 2_000;

/**
 * The live model: one streamed chat completion through the `openai` package.
 *
 * The client never retries, because attempts are the job's to count. Three clocks bound the call: to the
 * headers, between two chunks, and over all; a job that is given more time for the whole is given more for
 * each, since a model that thinks for minutes is silent meanwhile. An answer counts as complete only with a
 * finish_reason: a stream that merely ends was cut, and one that breaks after it has lost nothing.
 */
export function liveModel(config: Config): CallModel {
  return async (call, onText, stop) => {
    const client = clientFor(call.route, config);
    const asked = askedTokens(call, config);
    const { maxTokens = asked } = call;
    const paidTokens = maxTokens < asked ? maxTokens : Infinity;
    const answer = new AnswerBuilder(config.MAX_OUTPUT_BYTES, onText, paidTokens);
    if (client === null) return answer.finish({ kind: "not_configured" });
    const deadlines = new Deadlines(stop, call.timeoutMs);
    const patience = Math.max(1, call.timeoutMs / config.DEFAULT_TIMEOUT_MS);
    let learned: Learned | null = null;
    const finish = (broke: CallError | null): CallOutcome => {
      const outcome = answer.finish(broke);
      return learned === null ? outcome : { ...outcome, learned };
    };
    try {
      deadlines.within("headers", config.HEADERS_TIMEOUT_MS * patience);
      const body = bodyOf(call, config);
      const asked = client.chat.completions.create(body, { signal: deadlines.signal });
      const { data: stream, response } = await asked.withResponse();
      learned = readLimits(response.headers);
      deadlines.within("next token", config.IDLE_TIMEOUT_MS * patience);
      for await (const chunk of stream) {
        answer.add(chunk);
        if (answer.full || answer.overspent) break;
        const idleMs = config.IDLE_TIMEOUT_MS * patience;
        deadlines.within("next token", answer.finished ? AFTER_FINISH_MS : idleMs);
      }
      return finish(deadlines.expired === null ? null : timeout(deadlines.expired));
    } catch (error) {
      const { expired } = deadlines;
      learned ??= error instanceof OpenAI.APIError ? readLimits(error.headers) : null;
      return finish(
        expired === null ? callErrorOf(error, answer.begun, learned) : timeout(expired),
      );
    } finally {
      deadlines.clear();
    }
  };
}

function clientFor(route: Route, config: Config): OpenAI | null {
  // Our own clocks bound the call. Nothing is taken from the environment: it would go to every provider alike.
  const common = {
    maxRetries: 0,
    timeout: LONGEST_CALL_MS,
    logLevel: "off",
    organization: null,
    project: null,
  } as const;
  if (route.provider === SIMULATOR) {
    const baseURL = "https://simulator.invalid/v1";
    return new OpenAI({ ...common, baseURL, apiKey: "none", fetch: simulate });
  }
  const access = isProvider(route.provider) ? config.providers[route.provider] : undefined;
  if (access === undefined) return null;
  return new OpenAI({ ...common, baseURL: access.baseUrl, apiKey: access.apiKey });
}

function bodyOf(call: ModelCall, config: Config): ChatCompletionCreateParamsStreaming {
  const { route, request } = call;
  const row: Provider = isProvider(route.provider) ? PROVIDERS[route.provider] : PROVIDERS.openai;
  const { max_tokens: _, ...params } = request.params ?? {};
  const maxTokens = Math.min(askedTokens(call, config), call.maxTokens ?? Infinity);
  const messages = request.messages ?? [{ role: "user" as const, content: request.prompt ?? "" }];
  const body = {
    ...params,
    [row.maxTokensField]: maxTokens,
    model: route.model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  };
  // Checked against the same protocol at submission; the package's types differ only in `undefined`.
  return body as ChatCompletionCreateParamsStreaming;
}

function askedTokens({ request }: ModelCall, config: Config): number {
  return request.params?.max_tokens ?? config.DEFAULT_MAX_TOKENS;
}

function timeout(waitedFor: Extract<CallError, { kind: "timeout" }>["waitedFor"]): CallError {
  return { kind: "timeout", waitedFor };
}

/** `headers`: of the package's error, which has them only where the provider answered. */
function readLimits(headers: unknown): Learned | null {
  return headers instanceof Headers ? learnedFrom((name) => headers.get(name), Date.now()) : null;
}

/** Tells the package's errors apart by class, status and code, never by their text. */
function callErrorOf(error: unknown, begun: boolean, learned: Learned | null): CallError {
  if (error instanceof OpenAI.APIConnectionTimeoutError) return timeout("headers");
  if (error instanceof OpenAI.APIConnectionError) return { kind: begun ? "cut" : "unreachable" };
  if (error instanceof OpenAI.APIError) return apiErrorOf(error, learned);
  if (error instanceof SyntaxError) return { kind: "malformed" };
  return { kind: begun ? "cut" : "unreachable" };
}

/** An error the provider told us of: by its status, or in a frame of the stream, where only a code may tell. */
function apiErrorOf(
  error: InstanceType<typeof OpenAI.APIError>,
  learned: Learned | null,
): CallError {
  const code: unknown = error.code;
  if (code === "content_filter" || code === "content_policy_violation") {
    return { kind: "content_filter" };
  }
  if (code === "insufficient_quota") return { kind: "quota" };
  const status: unknown = error.status ?? code;
  if (typeof status !== "number") return { kind: "cut" };
  return { kind: "status", status, retryAfterMs: learned?.retryAfterMs ?? null };
}

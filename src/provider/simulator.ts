import type { ChatCompletionChunk } from "openai/resources/chat/completions";

import {
  answerTo,
  modelOf,
  parsePrompt,
  randomFrom,
  seedOf,
  type Answer,
} from "./simulated-text.ts";
import { SIMULATOR, type SimulatedModel } from "./table.ts";

const HEADERS_MS = 100;
/** As long as a timer can be set for. Without any timer the runtime would cancel the request as hung. */
const FOREVER_MS = 2 ** 31 - 1;
/** Prompts remembered as having failed; beyond that the oldest is forgotten. */
const MAX_FAILED_ONCE = 1_000;

type Delta = ChatCompletionChunk.Choice.Delta;

/** Milliseconds from the call to the first token, and from one token to the next. */
type Pace = { firstTokenMs: number; tokenMs: number };

/** An event of the stream and when it is due, in milliseconds from the call. */
type Frame = { dueMs: number; data: string };

/**
 * Answers a chat-completions call in process, in OpenAI's wire format and with the shape of `fetch`.
 *
 * The model's name chooses how it behaves; a name it does not know is `standard`. The same messages get the
 * same answer at the same pace. An abort rejects the call, or errors its body, with the signal's reason.
 */
export async function simulate(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const calledAt = performance.now();
  const signal =
    init?.signal ?? (input instanceof Request ? input.signal : new AbortController().signal);
  const prompt = parsePrompt(await new Request(input, init).text());
  await sleep(HEADERS_MS, signal);
  if (prompt === null) return refusal(400, "invalid_request_error", "Not a chat completion");

  const model = modelOf(prompt);
  const seed = seedOf(prompt);
  if (model === "hangs") await sleep(FOREVER_MS, signal);
  const refuse = REFUSALS[model];
  if (refuse !== undefined && failsThisTime(`${model}:${seed}`)) return refuse();
  const random = randomFrom(seed);
  const answer = answerTo(prompt, model, random);
  if (prompt.stream !== true) return whole(answer);
  const pace = paceOf(model, answer.tokens.length, random);
  const frames = framesOf(answer, pace, prompt.stream_options?.include_usage === true);
  return new Response(streamed(frames, calledAt, signal), {
    headers: { "Content-Type": "text/event-stream; charset=utf-8" },
  });
}

const REFUSALS: Partial<Record<SimulatedModel, () => Response>> = {
  flaky: () => refusal(500, "server_error", "Simulated failure"),
  "rate-limited": () => refusal(429, "requests", "Simulated rate limit", { "Retry-After": "2" }),
};

function refusal(status: number, type: string, message: string, headers: HeadersInit = {}) {
  return Response.json({ error: { message, type, param: null, code: null } }, { status, headers });
}

/**
 * State of the isolate, not of a job: it only says which of two calls fails. Where it is lost a prompt fails
 * once more, which is no worse than what the model's name asked for.
 */
const failedOnce = new Set<string>();

/** Fails every other call for the same key. */
function failsThisTime(key: string): boolean {
  if (failedOnce.delete(key)) return false;
  failedOnce.add(key);
  const [oldest] = failedOnce;
  if (oldest !== undefined && failedOnce.size > MAX_FAILED_ONCE) failedOnce.delete(oldest);
  return true;
}

function paceOf(model: SimulatedModel, tokens: number, random: () => number): Pace {
  if (model === "slow") return { firstTokenMs: 4_000, tokenMs: 6_000 / tokens };
  const firstTokenMs = 300 + 300 * random();
  return { firstTokenMs, tokenMs: model === "long" ? 5 : 15 + 30 * random() };
}

function* framesOf(answer: Answer, pace: Pace, withUsage: boolean): Generator<Frame> {
  const head = {
    ...headOf(answer),
    object: "chat.completion.chunk" as const,
    ...(withUsage && { usage: null }),
  };
  const frame = (dueMs: number, delta: Delta, finish: Answer["finish"] = null): Frame => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    return { dueMs, data: JSON.stringify({ ...head, choices } satisfies ChatCompletionChunk) };
  };

  yield frame(0, openingDelta(answer.calls));
  let dueMs = pace.firstTokenMs;
  for (const token of answer.tokens) {
    yield frame(dueMs, answer.calls === null ? { content: token } : argumentsDelta(token));
    dueMs += pace.tokenMs;
  }
  if (answer.finish === null) return;
  yield frame(dueMs, {}, answer.finish);
  if (withUsage) {
    const last = { ...head, choices: [], usage: answer.usage } satisfies ChatCompletionChunk;
    yield { dueMs, data: JSON.stringify(last) };
  }
  yield { dueMs, data: "[DONE]" };
}

function openingDelta(calls: string | null): Delta {
  if (calls === null) return { role: "assistant", content: "", refusal: null };
  return { role: "assistant", content: null, tool_calls: [{ index: 0, ...toolCall(calls, "") }] };
}

function argumentsDelta(token: string): Delta {
  return { tool_calls: [{ index: 0, function: { arguments: token } }] };
}

function toolCall(name: string, written: string) {
  const id = `call_${crypto.randomUUID()}`;
  return { id, type: "function" as const, function: { name, arguments: written } };
}

function headOf(answer: Answer) {
  return {
    id: `chatcmpl-${crypto.randomUUID()}`,
    created: Math.floor(Date.now() / 1_000),
    model: `${SIMULATOR}/${answer.model}`,
  };
}

/** The answer as one JSON object; where it is to break off, its end is missing. */
function whole(answer: Answer): Response {
  const written = answer.tokens.join("");
  const message =
    answer.calls === null
      ? { content: written }
      : { content: null, tool_calls: [toolCall(answer.calls, written)] };
  const body = JSON.stringify({
    ...headOf(answer),
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", refusal: null, ...message },
        logprobs: null,
        finish_reason: answer.finish,
      },
    ],
    usage: answer.usage,
  });
  return new Response(answer.finish === null ? body.slice(0, body.length / 3) : body, {
    headers: { "Content-Type": "application/json" },
  });
}

/** Makes each event when it is due and somebody reads, so nothing is ever buffered. */
function streamed(
  frames: Iterator<Frame, void>,
  calledAt: number,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const cancelled = new AbortController();
  const ended = AbortSignal.any([signal, cancelled.signal]);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = frames.next();
        if (next.done === true) return controller.close();
        await sleep(Math.max(0, calledAt + next.value.dueMs - performance.now()), ended);
        controller.enqueue(encoder.encode(`data: ${next.value.data}\n\n`));
      },
      cancel(reason) {
        cancelled.abort(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Rejects with the signal's reason, at once if it is aborted already. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

import OpenAI, { APIUserAbortError, RateLimitError } from "openai";
import { afterEach, describe, expect, it, vi } from "vitest";

import { simulate } from "../../src/provider/simulator.ts";
import type { SimulatedModel } from "../../src/provider/table.ts";

type Params = Partial<Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, "stream">>;
type Options = { params?: Params; signal?: AbortSignal };

/** Streams the beginning only, where the rest would say no more. */
const FEW = { params: { max_tokens: 5 } };

const client = new OpenAI({
  fetch: simulate,
  maxRetries: 0,
  baseURL: "https://simulator.invalid/v1",
  apiKey: "none",
});

const weather = { type: "function", function: { name: "weather" } } as const;
const news = { type: "function", function: { name: "news" } } as const;

function open(model: SimulatedModel, prompt: string, options: Options = {}) {
  return client.chat.completions.create(
    {
      model,
      messages: [{ role: "user", content: prompt }],
      stream: true,
      stream_options: { include_usage: true },
      ...options.params,
    },
    { signal: options.signal ?? null },
  );
}

async function ask(model: string, prompt: string, params: Params = {}) {
  const messages = [{ role: "user" as const, content: prompt }];
  const answer = await client.chat.completions.create({ model, messages, ...params });
  const { message, finish_reason: finish } = answer.choices[0]!;
  return { model: answer.model, message, text: message.content ?? "", finish, usage: answer.usage };
}

async function stream(...args: Parameters<typeof open>) {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of await open(...args)) chunks.push(chunk);
  const pieces = chunks.flatMap((chunk) => chunk.choices[0]?.delta.content || []);
  const finish = chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []);
  return { chunks, pieces, text: pieces.join(""), finish, usage: chunks.at(-1)?.usage };
}

/** The call itself, for what the client hides. */
function post(model: SimulatedModel, signal: AbortSignal | null = null): Promise<Response> {
  const messages = [{ role: "user", content: "hello" }];
  const body = JSON.stringify({ model, messages, stream: true });
  return simulate("https://simulator.invalid/v1/chat/completions", {
    method: "POST",
    body,
    signal,
  });
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const next = reader.read();
  await vi.runOnlyPendingTimersAsync();
  return new TextDecoder().decode((await next).value);
}

/** A body whose timers are the test's and whose first token has been read. */
async function started(model: SimulatedModel, signal?: AbortSignal) {
  const { body } = await post(model, signal);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const reader: ReadableStreamDefaultReader<Uint8Array> = body!.getReader();
  expect(await read(reader)).toContain('"role":"assistant"');
  expect(await read(reader)).toContain('"content":"This"');
  return reader;
}

describe.concurrent("an answer", () => {
  it("says that it is simulated and quotes the question", async () => {
    const { text } = await ask("standard", "Why is the sky blue?");
    expect(text).toMatch(/^This is a simulated answer: no model was called\./);
    expect(text).toContain("“Why is the sky blue?”");
  });

  it("shortens a long question without cutting a character in half", async () => {
    const { text } = await ask("standard", "🦜".repeat(200));
    expect(text).toContain(`“${"🦜".repeat(79)}…”`);
  });

  it("is the same for the same prompt, in however many parts it is sent", async () => {
    const parts = [{ type: "text" as const, text: "the same prompt" }];
    const answers = await Promise.all([
      ask("standard", "the same prompt"),
      ask("standard", "the same prompt"),
      ask("standard", "", { messages: [{ role: "user", content: parts }] }),
    ]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it("differs for different prompts, even where the quotes are alike", async () => {
    const one = await ask("standard", `${"x".repeat(100)}1`);
    const other = await ask("standard", `${"x".repeat(100)}2`);
    expect(one.text).not.toBe(other.text);
  });

  it("has 60 to 120 tokens, whatever the question", async () => {
    const questions = ["?", "a ".repeat(500), ...Array.from({ length: 50 }, (_, n) => String(n))];
    const answers = await Promise.all(questions.map((question) => ask("standard", question)));
    const lengths = answers.map(({ usage }) => usage?.completion_tokens ?? 0);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(60);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(120);
  });

  it("starts with its role, ends with one finish reason and then reports the usage", async () => {
    const { chunks, pieces, finish, usage } = await stream("standard", "Count me, please!");
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(finish).toEqual(["stop"]);
    expect(chunks.at(-1)?.choices).toEqual([]);
    const sent = pieces.length;
    expect(usage).toEqual({ prompt_tokens: 5, completion_tokens: sent, total_tokens: 5 + sent });
  });

  it("reports no usage unless it is asked for", async () => {
    const { chunks } = await stream("standard", "hello", { params: { stream_options: null } });
    expect(chunks.every((chunk) => chunk.usage === undefined)).toBe(true);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
  });

  it("is the standard one, streamed or whole, where the model's name is not known", async () => {
    const [streamed, whole] = await Promise.all([stream("standard", "hi"), ask("gpt-4o", "hi")]);
    expect(whole.model).toBe("simulator/standard");
    expect(whole.text).toBe(streamed.text);
    expect(whole.finish).toBe("stop");
    expect(whole.usage).toEqual(streamed.usage);
  });

  it.each(["max_tokens", "max_completion_tokens"] as const)("stops at %s", async (name) => {
    const { pieces, finish, usage } = await stream("standard", "hi", { params: { [name]: 7 } });
    expect(pieces).toHaveLength(7);
    expect(finish).toEqual(["length"]);
    expect(usage?.completion_tokens).toBe(7);
  });

  it("is one JSON object in pieces where JSON is asked for", async () => {
    const params: Params = { response_format: { type: "json_object" } };
    const { text, pieces, finish } = await stream("standard", 'a "quoted" \\ prompt', { params });
    expect(pieces.length).toBeGreaterThan(10);
    expect(finish).toEqual(["stop"]);
    expect(JSON.parse(text)).toEqual({
      simulated: true,
      answer: expect.stringContaining('“a "quoted" \\ prompt”'),
    });
  });
});

describe.concurrent("a tool call", () => {
  it("goes to the first function where one is required", async () => {
    const params: Params = { tools: [weather, news], tool_choice: "required" };
    const { chunks, pieces, finish } = await stream("standard", "hi", { params });
    const calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(calls[0]).toMatchObject({ index: 0, type: "function", function: { name: "weather" } });
    expect(calls.map((call) => call.function?.arguments)).toEqual(["", "{", "}"]);
    expect(pieces).toEqual([]);
    expect(finish).toEqual(["tool_calls"]);
  });

  it("goes to the function that is named", async () => {
    const tool_choice = { type: "function", function: { name: "news" } } as const;
    const { message, finish } = await ask("standard", "hi", {
      tools: [weather, news],
      tool_choice,
    });
    const call = { type: "function", function: { name: "news", arguments: "{}" } };
    expect(message.tool_calls).toEqual([expect.objectContaining(call)]);
    expect(finish).toBe("tool_calls");
  });

  it("is not made where the model may choose", async () => {
    const { message } = await ask("standard", "hi", { tools: [weather] });
    expect(message.tool_calls).toBeUndefined();
  });
});

describe.concurrent("a model that misbehaves", () => {
  it("flaky: fails every other call, for each prompt by itself", async () => {
    await expect(stream("flaky", "one")).rejects.toMatchObject({ status: 500 });
    await expect(stream("flaky", "two")).rejects.toMatchObject({ status: 500 });
    expect((await stream("flaky", "one", FEW)).text).toContain("This is a simulated");
    await expect(stream("flaky", "one")).rejects.toMatchObject({ status: 500 });
  });

  it("rate-limited: says when to come back, then answers", async () => {
    const refused = await stream("rate-limited", "hi").catch((error: unknown) => error);
    if (!(refused instanceof RateLimitError)) throw new Error("It was not refused");
    expect(refused.headers.get("retry-after")).toBe("2");
    expect((await stream("rate-limited", "hi", FEW)).finish).toEqual(["length"]);
  });

  it("cuts: breaks off without a finish reason, every time", async () => {
    const whole = await ask("standard", "cut me");
    for (const cut of await Promise.all([stream("cuts", "cut me"), stream("cuts", "cut me")])) {
      expect(cut.finish).toEqual([]);
      expect(cut.usage).toBeNull();
      expect(cut.pieces).toHaveLength(Math.ceil((whole.usage?.completion_tokens ?? 0) / 3));
      expect(whole.text.startsWith(cut.text)).toBe(true);
    }
  });

  it("cuts: sends a third of a JSON object where nothing is streamed", async () => {
    await expect(ask("cuts", "cut me")).rejects.toThrow(SyntaxError);
  });

  it("hangs: sends no headers until it is aborted, and then fails for that reason", async () => {
    const caller = new AbortController();
    const call = post("hangs", caller.signal);
    const patience = new Promise((resolve) => setTimeout(resolve, 1_000, "still waiting"));
    expect(await Promise.race([call, patience])).toBe("still waiting");
    caller.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    const signal = AbortSignal.timeout(200);
    await expect(open("hangs", "hi", { signal })).rejects.toBeInstanceOf(APIUserAbortError);
  });

  it("slow: has said nothing yet when the standard model has spoken", async () => {
    const done = new AbortController();
    const slow = stream("slow", "race", { signal: done.signal });
    await stream("standard", "race", FEW);
    done.abort();
    expect((await slow).pieces).toEqual([]);
  });

  it("long: has about 2,000 tokens", async () => {
    const { usage } = await ask("long", "tell me everything");
    expect(usage?.completion_tokens).toBeGreaterThan(1_950);
    expect(usage?.completion_tokens).toBeLessThan(2_050);
  });
});

// Apart from the others, whose prompts it makes the simulator forget.
describe("the memory of failed prompts", () => {
  it("holds 1,000 of them", async () => {
    const others = Array.from({ length: 999 }, (_, index) => `other ${index}`);
    const prompts = ["forgotten", "oldest", ...others];
    await Promise.allSettled(prompts.map((prompt) => ask("flaky", prompt)));
    await expect(ask("flaky", "oldest")).resolves.toBeDefined();
    await expect(ask("flaky", "forgotten")).rejects.toMatchObject({ status: 500 });
  });
});

describe.concurrent("a request that is none", () => {
  it.each([
    ["has no messages", "{}"],
    ["has an empty list of messages", '{"model":"standard","messages":[]}'],
    ["is not JSON", "{"],
  ])("is refused if it %s", async (_, body) => {
    const response = await simulate("https://simulator.invalid/v1", { method: "POST", body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });
});

describe("the end of a call", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("by an abort errors the body with its reason and stops the timer", async () => {
    const caller = new AbortController();
    const reader = await started("standard", caller.signal);
    const next = reader.read();
    expect(vi.getTimerCount()).toBe(1);
    caller.abort(new Error("changed my mind"));
    await expect(next).rejects.toThrow("changed my mind");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("by a reader that goes away stops the timer", async () => {
    const reader = await started("long");
    void reader.read();
    expect(vi.getTimerCount()).toBe(1);
    await reader.cancel();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("comes before it begins where the signal is aborted already", async () => {
    const call = post("standard", AbortSignal.abort(new Error("too late")));
    await expect(call).rejects.toThrow("too late");
  });

  it("mid-stream ends the client's iteration early", async () => {
    const caller = new AbortController();
    let pieces = 0;
    for await (const chunk of await open("long", "go on", { signal: caller.signal })) {
      if (chunk.choices[0]?.delta.content && ++pieces === 5) caller.abort();
    }
    expect(pieces).toBeLessThan(20);
  });
});

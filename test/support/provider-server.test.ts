import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import OpenAI, { APIUserAbortError, BadRequestError, RateLimitError } from "openai";
import type { ChatCompletionChunk } from "openai/resources";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startProvider } from "./provider-server.ts";
import type { Behaviour, Call, ProviderServer } from "./provider-server.ts";

let provider: ProviderServer;
let client: OpenAI;

beforeEach(async () => {
  provider = await startProvider();
  client = new OpenAI({ baseURL: provider.url, apiKey: "x", maxRetries: 0, logLevel: "off" });
});
afterEach(() => provider.close());

function ask(prompt: string, options: { signal?: AbortSignal; usage?: boolean } = {}) {
  return client.chat.completions.create(
    {
      model: "gpt-test",
      stream: true,
      messages: [{ role: "user", content: prompt }],
      ...(options.usage && { stream_options: { include_usage: true } }),
    },
    options.signal ? { signal: options.signal } : {},
  );
}

function askRaw(prompt: string): Promise<Response> {
  const messages = [{ role: "user", content: prompt }];
  const body = JSON.stringify({ model: "gpt-test", stream: true, messages });
  return fetch(`${provider.url}/chat/completions`, { method: "POST", body });
}

/** Reads to the end, or to the error that ends it. */
async function read(prompt: string, options: { usage?: boolean } = {}) {
  const chunks: ChatCompletionChunk[] = [];
  let error: unknown = null;
  try {
    for await (const chunk of await ask(prompt, options)) chunks.push(chunk);
  } catch (thrown) {
    error = thrown;
  }
  const choices = chunks.flatMap((chunk) => chunk.choices);
  const text = choices.map((choice) => choice.delta.content ?? "").join("");
  return { chunks, text, finishReason: choices.at(-1)?.finish_reason ?? null, error };
}

const ended = (call: Call) => call.finished || call.closedEarlyAt !== null;

function behave(behaviour: Behaviour): void {
  provider.behave = () => behaviour;
}

test("answers twenty tokens when nothing else is said", async () => {
  const { text, finishReason, error } = await read("hello, [1, 2] and []");
  expect(text.trim().split(" ")).toEqual(Array.from({ length: 20 }, (_, at) => `a1.${at}`));
  expect([finishReason, error]).toEqual(["stop", null]);
});

test("never sends the same text twice for the same prompt", async () => {
  expect((await read("again")).text).not.toBe((await read("again")).text);
  expect(provider.callsFor("again").map((call) => call.n)).toEqual([0, 1]);
});

test("records what was asked, by whom and how it ended", async () => {
  await read("remember me");
  const call = await provider.waitForCall(ended);
  expect(call).toMatchObject({ id: 1, prompt: "remember me", n: 0, model: "gpt-test" });
  expect(call).toMatchObject({ finished: true, closedEarlyAt: null });
  expect([call.headers.authorization, call.body.messages.length]).toEqual(["Bearer x", 1]);
});

test("takes the last user message for the prompt, joining its text parts", async () => {
  const parts = [
    { type: "text" as const, text: "one " },
    { type: "image_url" as const, image_url: { url: "https://x.test/a.png" } },
    { type: "text" as const, text: "two" },
  ];
  await client.chat.completions.create({
    model: "m",
    stream: true,
    messages: [
      { role: "user", content: "[status=500]" },
      { role: "user", content: parts },
      { role: "assistant", content: "three" },
    ],
  });
  expect(provider.callsFor("one two")).toHaveLength(1);
});

test("reports usage when asked, and null until then", async () => {
  const { chunks } = await read("count [tokens=3]", { usage: true });
  const usage = { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 };
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
  expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  expect((await read("do not count")).chunks.some((chunk) => "usage" in chunk)).toBe(false);
});

test("withholds usage, or sends it unasked, when told", async () => {
  behave({ kind: "answer", usage: false });
  expect((await read("a", { usage: true })).chunks.at(-1)?.usage).toBeNull();
  behave({ kind: "answer", usage: true });
  expect((await read("b")).chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 20 });
});

test("answers given texts under a given model, with a given finish reason or none", async () => {
  behave({ kind: "answer", tokens: ["x", "y"], model: "gpt-other", finishReason: "length" });
  const { text, finishReason, chunks } = await read("given");
  expect([text, finishReason, chunks[0]?.model]).toEqual(["xy", "length", "gpt-other"]);
  behave({ kind: "answer", finishReason: null });
  expect(await read("unfinished")).toMatchObject({ finishReason: null, error: null });
});

test("calls tools, their arguments in fragments", async () => {
  const weather = { name: "weather", arguments: '{"city":"Zürich 😀"}' };
  behave({ kind: "answer", toolCalls: [weather, { name: "time", arguments: "{}" }] });
  const completion = await client.chat.completions
    .stream({ model: "m", messages: [{ role: "user", content: "tools" }] })
    .finalChatCompletion();
  const [choice] = completion.choices;
  expect(choice?.finish_reason).toBe("tool_calls");
  expect(choice?.message.tool_calls).toMatchObject([
    { id: "call_1_0", function: weather },
    { id: "call_1_1", function: { name: "time", arguments: "{}" } },
  ]);
});

test("waits before the first frame and between frames", async () => {
  const startedAt = performance.now();
  await read("slowly [tokens=3 every=10 first=50]");
  // Role, three tokens and finish are five frames: four pauses. Timers may fire a millisecond early.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(50 + 4 * 10 - 5);
});

test("refuses with a status, a body and a retry-after", async () => {
  behave({ kind: "status", status: 429, retryAfter: "7", body: { error: { code: "slow_down" } } });
  const { error } = await read("refused");
  expect(error).toBeInstanceOf(RateLimitError);
  expect(error).toMatchObject({ status: 429, code: "slow_down" });
  expect((error as RateLimitError).headers.get("retry-after")).toBe("7");
  expect(await provider.waitForCall(ended)).toMatchObject({ finished: true });
});

test("hangs without headers until the client gives up", async () => {
  const leaving = new AbortController();
  const asked = ask("[hang]", leaving);
  const call = await provider.waitForCall(() => true);
  expect(provider.active).toBe(1);
  leaving.abort();
  await expect(asked).rejects.toBeInstanceOf(APIUserAbortError);
  await provider.waitForCall(({ closedEarlyAt }) => closedEarlyAt !== null);
  expect([call.finished, provider.active]).toEqual([false, 0]);
});

test("goes silent after some tokens and keeps the connection open", async () => {
  const texts: unknown[] = [];
  for await (const chunk of await ask("[silent=2]")) {
    texts.push(chunk.choices[0]?.delta.content);
    // The opening and two tokens are all that ever comes; asking for more would wait for ever.
    if (texts.length === 3) break;
  }
  expect(texts).toEqual(["", "a1.0 ", "a1.1 "]);
  expect(await provider.waitForCall(ended)).toMatchObject({ finished: false });
});

test.each(["[cut=2]", "[cut=2 reset]"])("%s breaks the answer off", async (prompt) => {
  const { text, error } = await read(prompt);
  expect(text).toBe("a1.0 a1.1 ");
  expect(error).toBeInstanceOf(Error);
  expect(provider.calls[0]).toMatchObject({ finished: false, closedEarlyAt: null });
});

test.each([
  ["[cut]", "UND_ERR_SOCKET"],
  ["[cut reset]", "ECONNRESET"],
])("%s is seen on the wire as %s", async (prompt, code) => {
  const response = await askRaw(prompt);
  await expect(response.text()).rejects.toMatchObject({ cause: { code } });
});

test("sends a frame that is not JSON", async () => {
  const { text, error } = await read("[malformed]");
  expect(text).toBe("a1.0 ");
  expect(error).toBeInstanceOf(SyntaxError);
});

test.each([
  { prompt: "[empty]", text: "", finishReason: "stop" },
  { prompt: "[contentFilter]", text: "a1.0 a1.1 a1.2 ", finishReason: "content_filter" },
])("$prompt ends with $finishReason after '$text'", async ({ prompt, text, finishReason }) => {
  expect(await read(prompt)).toMatchObject({ text, finishReason, error: null });
});

test("sends a chunk without choices", async () => {
  const { chunks, error } = await read("[noChoices]");
  expect(chunks.map((chunk) => chunk.choices)).toEqual([[]]);
  expect(error).toBeNull();
});

test("tears characters and frames apart, with CRLF and no [DONE]", async () => {
  const { text, finishReason, error } = await read("[split]");
  expect(text).toBe([0, 1, 2].map((at) => `a1.${at} é€😀 `).join(""));
  expect([finishReason, error]).toEqual(["stop", null]);
  const pieces: Buffer[] = [];
  for await (const piece of (await askRaw("[split]")).body ?? []) pieces.push(Buffer.from(piece));
  expect(pieces.some((piece) => piece.toString().includes("\ufffd"))).toBe(true);
  expect(pieces.some((piece) => piece.toString().endsWith("\r"))).toBe(true);
  expect(Buffer.concat(pieces).toString()).toMatch(/[^\n]\r\n\r\n$/);
  expect(Buffer.concat(pieces).toString()).not.toMatch(/DONE|[^\r]\n/);
});

test("sends a huge answer of at least as many bytes as told", async () => {
  behave({ kind: "huge", bytes: 3_000_000, chunkBytes: 100_000 });
  const { text, error } = await read("much");
  expect([text.length >= 3_000_000, error]).toEqual([true, null]);
});

test("stops sending a huge answer when the client leaves", async () => {
  for await (const chunk of await ask("[huge=50000000]")) if (chunk.choices.length > 0) break;
  expect(await provider.waitForCall(ended)).toMatchObject({ finished: false });
});

test("refuses in the model's own words", async () => {
  const { chunks, text } = await read("[refusal]");
  const said = chunks.map((chunk) => chunk.choices[0]?.delta.refusal ?? "").join("");
  expect([said, text]).toEqual(["a1.0 I cannot help with that.", ""]);
});

test("follows a prompt's directives in turn, then answers", async () => {
  const prompt = "[status=503 retry-after=1 x2] [cut=1 reset x1] then well";
  const turns = [await read(prompt), await read(prompt), await read(prompt), await read(prompt)];
  expect(turns.map(({ text, finishReason }) => [text.length > 0, finishReason])).toEqual([
    [false, null],
    [false, null],
    [true, null],
    [true, "stop"],
  ]);
  expect(turns[1]?.error).toMatchObject({ status: 503 });
});

test("counts each prompt's turns apart", async () => {
  for (const prompt of ["one [status=500 x1]", "two [status=500 x1]"]) {
    expect((await read(prompt)).error).toMatchObject({ status: 500 });
  }
});

test.each(["[statsu=500]", "[cut=two]", "[tokens=5 evry=1]"])(
  "answers 400 to the misspelt %s",
  async (prompt) => {
    expect((await read(prompt)).error).toBeInstanceOf(BadRequestError);
  },
);

test("refuses a call that does not ask for a stream", async () => {
  const asked = client.chat.completions.create({ model: "m", messages: [] });
  await expect(asked).rejects.toBeInstanceOf(BadRequestError);
  expect(provider.calls).toEqual([]);
});

test("knows how many calls are open, and the most there were", async () => {
  const leaving = new AbortController();
  const hung = [1, 2, 3].map((id) => ask(`${id} [hang]`, leaving));
  const settled = Promise.allSettled(hung);
  await provider.waitForCall((call) => call.id === 3);
  expect([provider.active, provider.peak]).toEqual([3, 3]);
  leaving.abort();
  await settled;
  await provider.waitForCall(() => provider.active === 0);
  expect(provider.peak).toBe(3);
});

test("says so when no call comes", async () => {
  await expect(provider.waitForCall(() => true, 10)).rejects.toThrow("no such call in 10 ms");
});

test("closes under an open call, which did not leave early", async () => {
  const settled = expect(ask("[hang]")).rejects.toBeInstanceOf(Error);
  const call = await provider.waitForCall(() => true);
  await Promise.all([settled, provider.close()]);
  expect(call.closedEarlyAt).toBeNull();
  provider = await startProvider();
});

test("runs as a process of its own and lists its calls", async () => {
  const main = new URL("provider-main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [url] = (await once(createInterface(child.stdout), "line")) as [string];
    client = new OpenAI({ baseURL: url, apiKey: "x", maxRetries: 0 });
    await read("from outside");
    const calls: unknown = await (await fetch(new URL("/calls", url))).json();
    expect(calls).toMatchObject([{ prompt: "from outside", n: 0, finished: true }]);
    expect(calls).not.toHaveProperty("0.body");
  } finally {
    child.kill();
  }
});

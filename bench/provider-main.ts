import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer, json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { micros } from "./client.ts";

/**
 * A provider in a process of its own, which writes into each token when it is sent. The tests' provider
 * makes a token before it waits for its turn, and keeps every call for later questions.
 */
const server = createServer((req, res) => void answer(req, res));
server.keepAliveTimeout = 0;
await once(server.listen(0, "127.0.0.1"), "listening");
process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
process.once("disconnect", () => process.exit());

type Asked = { messages: { content: string }[] };

/** What `POST /-/bytes` brought last: `GET` streams it, as quickly as it is taken. */
let bytes = Buffer.alloc(0);

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === "/-/bytes") {
    if (req.method === "POST") bytes = await buffer(req);
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.end(req.method === "POST" ? "" : bytes);
    return;
  }
  const prompt = ((await json(req)) as Asked).messages.at(-1)?.content ?? "";
  const [tokens, every, first] = ["tokens", "every", "first"].map((word) => wordIn(prompt, word));
  if (tokens === undefined || every === undefined || first === undefined) {
    res.writeHead(400).end();
    return;
  }
  const gone = new AbortController();
  res.once("close", () => gone.abort());
  res.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  try {
    await stream(res, { tokens, every, first }, gone.signal);
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

/** Tokens keep to their timetable, so that one that is late does not delay all that follow. */
async function stream(
  res: ServerResponse,
  { tokens, every, first }: { tokens: number; every: number; first: number },
  gone: AbortSignal,
): Promise<void> {
  const firstAt = performance.now() + first;
  let ready = "";
  for (let token = 0; token < tokens; token++) {
    const wait = firstAt + token * every - performance.now();
    if (wait > 0) await sleep(wait, undefined, { signal: gone });
    ready += frame([{ index: 0, delta: { content: `${micros()} ` }, finish_reason: null }]);
    if (every === 0) continue;
    res.write(ready);
    ready = "";
  }
  const usage = { prompt_tokens: 9, completion_tokens: tokens, total_tokens: tokens + 9 };
  const finish = frame([{ index: 0, delta: {}, finish_reason: "stop" }]);
  res.end(`${ready}${finish}${frame([], { usage })}data: [DONE]\n\n`);
}

function frame(choices: object[], extra: object = {}): string {
  const chunk = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: "bench" };
  return `data: ${JSON.stringify({ ...chunk, choices, ...extra })}\n\n`;
}

function wordIn(prompt: string, word: string): number | undefined {
  const found = new RegExp(`\\b${word}=(\\d+)`).exec(prompt)?.[1];
  return found === undefined ? undefined : Number(found);
}

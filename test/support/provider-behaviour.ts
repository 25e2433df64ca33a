import type { IncomingHttpHeaders } from "node:http";
import type { ChatCompletionChunk, ChatCompletionCreateParams } from "openai/resources";

type Delta = ChatCompletionChunk.Choice.Delta;
/** `usage` overrules the request's `include_usage`; a null `finishReason` is not sent. */
type Answer = {
  tokens?: string[] | number;
  finishReason?: string | null;
  usage?: boolean;
  toolCalls?: { name: string; arguments: string }[];
  model?: string;
};
/** `firstAfterMs` is the wait from headers to first frame, `everyMs` the one from frame to frame. */
export type Pace = { everyMs?: number; firstAfterMs?: number };
/** What the response says besides: the provider's limits, for one. */
type Headed = { headers?: Record<string, string> };

/** What one call meets. `after` counts the tokens sent before the fault; `bytes` is a least number. */
export type Behaviour =
  | ({ kind: "answer" } & Answer & Pace & Headed)
  | ({ kind: "status"; status: number; retryAfter?: string | undefined; body?: unknown } & Headed)
  | ({ kind: "silent"; after: number } & Pace)
  | ({ kind: "cut"; after: number; how: "fin" | "reset" } & Pace)
  | { kind: "huge"; bytes: number; chunkBytes: number }
  | { kind: "hang" }
  | { kind: keyof typeof ODDITIES };

export type Call = {
  /** From 1; in every text made here, so that two attempts are never mistaken for each other. */
  id: number;
  prompt: string;
  /** How many calls came before with the same prompt. */
  n: number;
  model: string;
  body: ChatCompletionCreateParams;
  headers: IncomingHttpHeaders;
  startedAt: number;
  /** When the client left before the end; null too if it was the provider that cut. */
  closedEarlyAt: number | null;
  /** The whole response was sent, whatever its status. */
  finished: boolean;
};

const DIRECTIVE =
  /\[(?<kind>\w+)(=(?<count>\d+))?( every=(?<every>\d+))?( first=(?<first>\d+))?( retry-after=(?<retryAfter>[\w.-]+))?( headers=(?<headers>[\w.:,-]+))?(?<reset> reset)?( x(?<times>\d+))?\]/g;

/**
 * Reads the behaviour out of the prompt, so that a test over HTTP steers a job by its prompt alone.
 *
 * | Directive, its words in this order     | The call meets                                      |
 * | -------------------------------------- | --------------------------------------------------- |
 * | `[tokens=200 every=5 first=90]`        | an answer; `every` and `first` in milliseconds      |
 * | `[status=429 retry-after=2]`           | an error instead of a stream                        |
 * | `[tokens headers=a:1,b:2]`             | the same with these headers, of an error as well    |
 * | `[silent=3]` `[cut=3]` `[cut=3 reset]` | the fault after 3 tokens; `every`, `first` as above |
 * | `[huge=4000000]`                       | so many bytes of text                               |
 * | `[hang]` `[split]` `[noChoices]` …     | the behaviour of that name                          |
 * | `[… x2]`                               | it twice, then what the next directive says         |
 *
 * Counts may be left out: `[cut x2]`. No directive, or none left: an answer of 20 tokens at once.
 * Throws on any other bracketed word: a misspelt fault would otherwise pass for a good answer.
 */
export function promptBehaviour({ prompt, n }: Call): Behaviour {
  const unread = /\[[a-z][^\]]*\]/i.exec(prompt.replaceAll(DIRECTIVE, ""));
  if (unread) throw new Error(`cannot read ${unread[0]}`);
  let turn = n;
  for (const { groups = {} } of prompt.matchAll(DIRECTIVE)) {
    const times = Number(groups["times"] ?? Infinity);
    if (turn < times) return directed(groups);
    turn -= times;
  }
  return { kind: "answer" };
}

function directed(words: Record<string, string | undefined>): Behaviour {
  const { kind = "", every = 0, first = 0, retryAfter, reset } = words;
  const count = (fallback: number) => Number(words["count"] ?? fallback);
  const pace = { everyMs: Number(every), firstAfterMs: Number(first) };
  const headers = headersIn(words["headers"]);
  if (kind === "tokens") return { kind: "answer", tokens: count(20), ...pace, headers };
  if (kind === "status") return { kind, status: count(500), retryAfter, headers };
  if (kind === "silent") return { kind, after: count(3), ...pace };
  if (kind === "cut") return { kind, after: count(3), how: reset ? "reset" : "fin", ...pace };
  if (kind === "huge") return { kind, bytes: count(1_000_000), chunkBytes: 65_536 };
  if (kind === "hang") return { kind };
  if (Object.hasOwn(ODDITIES, kind)) return { kind: kind as keyof typeof ODDITIES };
  throw new Error(`no behaviour is called ${kind}`);
}

/** `name:value`, several with commas between them. */
function headersIn(list = ""): Record<string, string> {
  const pairs = list.split(",").filter((pair) => pair.includes(":"));
  return Object.fromEntries(pairs.map((pair) => pair.split(/:(.*)/)));
}

export const errorBody = (message: string) => ({ error: { message, type: "test", code: null } });
export const withoutBody = (call: Call) => ({ ...call, body: undefined });

const ODDITIES = {
  malformed: (call: Call) => [...begun(call, texts(call, 1)), 'data: {"choices":[{\n\n'],
  empty: (call: Call) => whole(call, []),
  noChoices: (call: Call) => [frame(call, [])],
  refusal: (call: Call) => whole(call, [{ refusal: `a${call.id}.0 I cannot help with that.` }]),
  contentFilter: (call: Call) => whole(call, texts(call, 3), { finishReason: "content_filter" }),
  split: torn,
};

export type Streamed = Exclude<Behaviour, { kind: "status" | "hang" }>;
export function framesFor(call: Call, behaviour: Streamed): Iterable<string | Buffer> {
  switch (behaviour.kind) {
    case "answer":
      return whole({ ...call, ...behaviour }, [...answerDeltas(call, behaviour)], behaviour);
    case "huge": {
      const { bytes, chunkBytes } = behaviour;
      return whole(call, texts(call, Math.ceil(bytes / chunkBytes), "x".repeat(chunkBytes)));
    }
    case "silent":
    case "cut":
      return begun(call, texts(call, behaviour.after));
    default:
      return ODDITIES[behaviour.kind](call);
  }
}

function texts({ id }: Call, count: number, tail = ""): Delta[] {
  return Array.from({ length: count }, (_, at) => ({ content: `a${id}.${at} ${tail}` }));
}

function* answerDeltas(call: Call, { tokens, toolCalls = [] }: Answer): Iterable<Delta> {
  const said = tokens ?? (toolCalls.length > 0 ? 0 : 20);
  yield* typeof said === "number" ? texts(call, said) : said.map((content) => ({ content }));
  for (const [index, { name, arguments: text }] of toolCalls.entries()) {
    const [id, type] = [`call_${call.id}_${index}`, "function" as const];
    yield { tool_calls: [{ index, id, type, function: { name, arguments: "" } }] };
    const parts = text.match(/.{1,8}/gsu) ?? [];
    yield* parts.map((part) => ({ tool_calls: [{ index, function: { arguments: part } }] }));
  }
}

function frame({ id, model, startedAt, body }: Call, choices: object[], extra = {}): string {
  const created = Math.floor(startedAt / 1000);
  const chunk = { id: `chatcmpl-${id}`, object: "chat.completion.chunk", created, model, choices };
  // Once asked for, `usage` is in every chunk, and null in all but the last.
  const usage = body.stream_options?.include_usage ? { usage: null } : {};
  return `data: ${JSON.stringify({ ...chunk, ...usage, ...extra })}\n\n`;
}

function choice(call: Call, delta: Delta, finish_reason: string | null = null): string {
  return frame(call, [{ index: 0, delta, finish_reason }]);
}

function* begun(call: Call, deltas: Delta[]): Iterable<string> {
  yield choice(call, { role: "assistant", content: "" });
  for (const delta of deltas) yield choice(call, delta);
}

function* whole(call: Call, deltas: Delta[], answer: Answer = {}): Iterable<string> {
  yield* begun(call, deltas);
  const { finishReason = answer.toolCalls ? "tool_calls" : "stop" } = answer;
  if (finishReason !== null) yield choice(call, {}, finishReason);
  const [sent, asked] = [deltas.length, call.prompt.split(/\s+/).length];
  const usage = { prompt_tokens: asked, completion_tokens: sent, total_tokens: asked + sent };
  if (answer.usage ?? call.body.stream_options?.include_usage) yield frame(call, [], { usage });
}

/** With CRLF line ends; torn before every LF and inside every multi-byte character. */
function torn(call: Call): Buffer[] {
  const text = [...whole(call, texts(call, 3, "é€😀 "))].join("").replaceAll("\n", "\r\n");
  const bytes = Buffer.from(text)
    .toString("latin1")
    .split(/(?=[\x80-\xbf\n])/);
  return bytes.map((piece) => Buffer.from(piece, "latin1"));
}

/** The last thing a user said. */
export function promptOf(body: ChatCompletionCreateParams): string {
  const content = body.messages.findLast(({ role }) => role === "user")?.content ?? "";
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

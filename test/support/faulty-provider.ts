import type { Faults } from "./faulty.ts";

/** A call that reached the model, and what it was sent. */
export type ModelCall = {
  /** From 1; in every text made here, so that two calls are never mistaken for each other. */
  id: number;
  prompt: string;
  model: string;
  startedAt: number;
  text: string;
  /** The finish reason was sent: the answer is whole. */
  finished: boolean;
};

type Asked = { model: string; messages: { content: string }[] };

type Ending = "finish" | "close" | "reset" | "malformed" | "silence" | "empty";

/** A model behind `fetch` that answers, most of the time: it may refuse, hang, break off, talk nonsense or be slow. */
export class FaultyProvider {
  readonly calls: ModelCall[] = [];
  readonly #faults: Faults;

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  callsFor(prompt: string): ModelCall[] {
    return this.calls.filter((call) => call.prompt === prompt);
  }

  readonly fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    const request = new Request(url, init);
    const { model, messages }: Asked = await request.json();
    const { signal } = request;
    if (this.#faults.strike("provider unreachable", 0.03)) throw new TypeError("fetch failed");
    const call: ModelCall = {
      id: this.calls.length + 1,
      prompt: messages.at(-1)?.content ?? "",
      model,
      startedAt: Date.now(),
      text: "",
      finished: false,
    };
    this.calls.push(call);
    await pause(this.#faults.between(0, 800), signal);
    if (this.#faults.strike("no headers", 0.05)) await pause(Infinity, signal);
    if (this.#faults.strike("error status", 0.15)) return this.#refusal();
    return new Response(this.#stream(call, signal), {
      headers: { "content-type": "text/event-stream" },
    });
  };

  #refusal(): Response {
    const status = this.#faults.pick([500, 503, 529, 429, 408, 400, 401]);
    const retryAfter = this.#faults.pick(["1", "3600", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"]);
    const headers = { "retry-after": retryAfter };
    return Response.json({ error: { message: "as the seed wants it" } }, { status, headers });
  }

  #stream(call: ModelCall, signal: AbortSignal): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    return new ReadableStream({
      start: async (controller) => {
        const write = (text: string) => controller.enqueue(encoder.encode(text));
        try {
          await this.#speak(call, signal, write);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
      },
    });
  }

  async #speak(call: ModelCall, signal: AbortSignal, write: (text: string) => void) {
    const ending = this.#ending();
    const tokens = ending === "empty" ? 0 : this.#faults.between(1, 20);
    const everyMs = this.#faults.pick([0, 0, 20, 300, 1_500]);
    for (let at = 0; at < tokens; at++) {
      await pause(everyMs, signal);
      const content = `a${call.id}.${at} `;
      write(frame(call, { content }));
      call.text += content;
    }
    if (ending === "reset") throw new Error("Network connection lost");
    if (ending === "malformed") write('data: {"choices":[{\n\n');
    if (ending === "silence") await pause(Infinity, signal);
    if (ending !== "finish" && ending !== "empty") return;
    call.finished = true;
    write(`${frame(call, {}, "stop")}data: [DONE]\n\n`);
  }

  #ending(): Ending {
    if (!this.#faults.strike("answer broken off", 0.35)) return "finish";
    return this.#faults.pick(["close", "reset", "malformed", "silence", "empty"]);
  }
}

function frame({ model }: ModelCall, delta: object, finish_reason: string | null = null): string {
  return `data: ${JSON.stringify({ model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
}

/** Waits, for ever if need be, until the caller hangs up. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const hangUp = () => reject(new DOMException("The call was aborted", "AbortError"));
    if (signal.aborted) return hangUp();
    signal.addEventListener("abort", hangUp, { once: true });
    if (ms === 0) resolve();
    else if (ms !== Infinity) setTimeout(resolve, ms);
  });
}

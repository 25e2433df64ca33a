import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** How a receiver of webhooks treats one request: plain data, so that it can be told to one in another process. */
export type Behaviour =
  | Answer
  /** Takes the request and never answers. */
  | { kind: "hang" }
  /** A header now and then, for ever; the answer's body never begins. */
  | { kind: "slow_headers"; everyMs: number }
  /** A byte now and then, for ever. */
  | { kind: "slow_body"; status: number; everyMs: number }
  /** As many bytes as are read, for ever. */
  | { kind: "endless_body"; status: number }
  /** More bytes of headers than any client takes. */
  | { kind: "huge_headers"; bytes: number }
  /** The body ends before its Content-Length does. */
  | { kind: "cut_body"; status: number; body: string }
  /** Takes the request, then cuts the connection: its effect is made, its answer lost. */
  | { kind: "reset_after_effect" }
  /** Cuts the connection before the request is taken. */
  | { kind: "reset_before_reading" };

type Answer = {
  kind: "answer";
  status: number;
  headers: OutgoingHttpHeaders;
  body: string;
  /** Waited before anything is sent. */
  delayMs: number;
};

/** A behaviour, or the status of an empty answer. */
export type Step = Behaviour | number;

export function answer(
  status: number,
  headers: OutgoingHttpHeaders = {},
  body = "",
  { delayMs = 0 } = {},
): Behaviour {
  return { kind: "answer", status, headers, body, delayMs };
}

/** An empty 200 after a while. */
export const delayed = (delayMs: number): Behaviour => answer(200, {}, "", { delayMs });

export const redirect = (status: 301 | 302 | 303 | 307 | 308, to: string): Behaviour =>
  answer(status, { location: to });

/** `retryAfter`: seconds, a date, or whatever else a receiver may write there. */
export const throttle = (retryAfter: string, status: 429 | 503 = 429): Behaviour =>
  answer(status, { "retry-after": retryAfter });

export const hang: Behaviour = { kind: "hang" };
export const resetAfterEffect: Behaviour = { kind: "reset_after_effect" };
export const resetBeforeReading: Behaviour = { kind: "reset_before_reading" };

export const slowHeaders = (everyMs = 1_000): Behaviour => ({ kind: "slow_headers", everyMs });
export const slowBody = (everyMs = 1_000, status = 200): Behaviour => ({
  kind: "slow_body",
  status,
  everyMs,
});
export const endlessBody = (status = 200): Behaviour => ({ kind: "endless_body", status });
export const hugeHeaders = (bytes = 1_000_000): Behaviour => ({ kind: "huge_headers", bytes });
export const cutBody = (body: string, status = 200): Behaviour => ({
  kind: "cut_body",
  status,
  body,
});

export function behaviourOf(step: Step): Behaviour {
  return typeof step === "number" ? answer(step) : step;
}

/** Whether it is the receiver who ends the connection. */
export function cuts({ kind }: Behaviour): boolean {
  return ["cut_body", "reset_after_effect", "reset_before_reading"].includes(kind);
}

/** Answers a request that was taken. Those without an end go on until their client leaves. */
export async function perform(
  behaviour: Exclude<Behaviour, { kind: "reset_before_reading" }>,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  switch (behaviour.kind) {
    case "answer":
      if (behaviour.delayMs > 0) await sleep(behaviour.delayMs, undefined, { signal: gone });
      response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body);
      return;
    case "hang":
      return;
    case "slow_headers":
      // By hand: node sends headers all at once.
      response.socket?.write("HTTP/1.1 200 OK\r\n");
      return drip(behaviour.everyMs, gone, () => response.socket?.write("x-more: to come\r\n"));
    case "slow_body":
      response.writeHead(behaviour.status).flushHeaders();
      return drip(behaviour.everyMs, gone, () => response.write("x"));
    case "endless_body":
      response.writeHead(behaviour.status);
      return flood(response, gone);
    case "huge_headers":
      response.writeHead(200, { "x-huge": "x".repeat(behaviour.bytes) }).end();
      return;
    case "cut_body": {
      const { status, body } = behaviour;
      response.writeHead(status, { "content-length": Buffer.byteLength(body) + 1 });
      response.write(body, () => response.socket?.destroySoon());
      return;
    }
    case "reset_after_effect":
      response.socket?.resetAndDestroy();
  }
}

async function drip(everyMs: number, gone: AbortSignal, drop: () => void): Promise<void> {
  for (;;) {
    drop();
    await sleep(everyMs, undefined, { signal: gone });
  }
}

async function flood(response: ServerResponse, gone: AbortSignal): Promise<void> {
  const bytes = Buffer.alloc(65_536, "x");
  while (!gone.aborted) {
    // Awaited, so that no more is made than is read.
    await new Promise((sent) => response.write(bytes, sent));
  }
}

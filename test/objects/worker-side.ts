import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";

import { consume } from "../../src/consumer.ts";
import { createApp } from "../../src/http/app.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import { stubOf, type Call } from "../support/faulty.ts";

const app = createApp();

/** The way to an object as it is. */
export function straight(name: string): Call {
  return (method, args) => {
    const stub = env.JOBS.getByName(name);
    return Promise.resolve(Reflect.apply(Reflect.get(stub, method), stub, args));
  };
}

/** The Worker's environment, with another way to its objects. */
export function envWith(wayTo: (name: string) => Call): Env {
  const getByName = (name: string): JobRpc => stubOf(wayTo(name));
  const settings = { OPENAI_API_KEY: "none", AUTH_MODE: "none", ATTEMPTS: "awaited" };
  return { ...env, ...settings, JOBS: { getByName } } as unknown as Env;
}

/** What the Worker answers to a request. */
export async function request(env: Env, path: string, init: RequestInit = {}): Promise<Response> {
  const asked = new Request(`https://afterword.test${path}`, init);
  return app.fetch(asked, env, createExecutionContext());
}

/** A submission, as a request. */
export function submission(key: string, job: object): RequestInit {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  return { method: "POST", body: JSON.stringify(job), headers };
}

/** Delivers messages in one batch. What the consumer did with each, by its place. */
export async function deliver(env: Env, queue: string, bodies: unknown[], attempts = 1) {
  const messages = bodies.map((body, at) => ({
    id: String(at),
    timestamp: new Date(),
    attempts,
    body,
  }));
  const batch = createMessageBatch(queue, messages);
  const context = createExecutionContext();
  await consume(batch, env, context);
  const { explicitAcks, retryMessages } = await getQueueResult(batch, context);
  return { acked: explicitAcks, retried: retryMessages.map(({ msgId }) => msgId) };
}

/** Puts a provider behind the network that answers every call like this. */
export function provide(answer: () => Response | Promise<Response>): void {
  vi.stubGlobal("fetch", async () => answer());
}

/** The provider's whole answer. */
export function answered(): Response {
  const model = "gpt-4o-2024-08-06";
  const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
  const said = [
    ...["Rayleigh ", "scattering."].map((content) => ({ delta: { content }, finish_reason: null })),
    { delta: {}, finish_reason: "stop" },
  ];
  const frames = [
    ...said.map((choice) => ({ model, choices: [{ index: 0, ...choice }] })),
    { model, choices: [], usage },
  ];
  const body = frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join("");
  const headers = { "content-type": "text/event-stream" };
  return new Response(`${body}data: [DONE]\n\n`, { headers });
}

export function refused(status: number): () => Response {
  return () => Response.json({ error: {} }, { status });
}

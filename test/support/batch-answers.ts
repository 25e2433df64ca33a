import { expect, vi } from "vitest";

import type { Api } from "./api.ts";
import { Batches } from "./batches.ts";
import { freshPrompt } from "./journey.ts";
import type { Ask } from "./tenant-answers.ts";

const ONE = "/api/batches/{id}";

/** Has the routes about batches give every answer they have. `ask`: asks, and judges what is answered. */
export async function askAboutBatches(api: Api, ask: Ask): Promise<void> {
  const batches = new Batches(api);
  const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
    const json = { "content-type": "application/json", ...headers };
    const init = { url: "/api/batches", body: JSON.stringify(body), headers: json };
    return ask("POST", "/api/batches", status, init);
  };
  const of = (method: string, path: string, status: number, id: string) =>
    ask(method, `${ONE}${path}`, status, { url: `/api/batches/${id}${path}` });

  const key = { "idempotency-key": "documented" };
  const requests = [
    { custom_id: "good", prompt: freshPrompt() },
    { prompt: freshPrompt("[status=400]") },
  ];
  await send(202, { requests, metadata: { a: "b" } }, key);
  await send(200, { requests, metadata: { a: "b" } }, key);
  await send(422, { requests }, key);
  await send(400, { prompts: [] });
  await send(400, { requests: [{}] });
  await send(413, { prompts: ["x".repeat(1_048_577)] });
  await send(415, { requests }, { "content-type": "text/plain" });
  await send(431, { requests }, { "x-long": "x".repeat(33_000) });
  await of("GET", "", 200, "documented");
  await batches.ended("documented");
  await of("GET", "", 200, "documented");
  await ask("GET", `${ONE}/results`, 200, { url: "/api/batches/documented/results?follow=true" });
  await ask("GET", `${ONE}/results`, 400, { url: "/api/batches/documented/results?follow=maybe" });
  await of("POST", "/retry-failed", 202, "documented");
  await batches.ended("documented");
  const waiting = await batches.submit({
    requests: [{ prompt: freshPrompt(), delay_seconds: 600 }],
  });
  await of("POST", "/cancel", 200, waiting.batch_id);
  await batches.ended(waiting.batch_id);
  await of("GET", "", 200, waiting.batch_id);
  await of("POST", "/retry-failed", 409, waiting.batch_id);
  const routes: [string, string][] = [
    ["GET", ""],
    ["GET", "/results"],
    ["POST", "/cancel"],
    ["POST", "/retry-failed"],
  ];
  for (const [method, path] of routes) await of(method, path, 404, "undocumented");
  const brief = { requests: [{ prompt: freshPrompt(), retention_seconds: 1 }] };
  await batches.submit(brief, "gone");
  const status = async () => (await api.fetch("/api/batches/gone")).status;
  await expect.poll(status, { timeout: 20_000 }).toBe(410);
  for (const [method, path] of routes) await of(method, path, 410, "gone");
  await send(410, brief, { "idempotency-key": "gone" });
}

/** The same of those that a tenant's limits give. */
export async function askAboutFullBatches(ask: Ask, status: 402 | 429, id: string): Promise<void> {
  const many = Array.from({ length: 30 }, () => freshPrompt());
  const dear = { prompts: [freshPrompt()], params: { max_tokens: 1_000_000 } };
  const body = JSON.stringify(status === 402 ? dear : { prompts: many });
  const headers = { "content-type": "application/json" };
  await ask("POST", "/api/batches", status, { url: "/api/batches", body, headers });
  const url = `/api/batches/${id}/retry-failed`;
  await ask("POST", `${ONE}/retry-failed`, status, { url });
}

/** The id of a batch of this one item, which has failed. */
export async function failedBatch(api: Api, item: object): Promise<string> {
  const batches = new Batches(api);
  const { batch_id } = await batches.submit({ requests: [item] });
  expect((await batches.ended(batch_id)).status_counts.failed).toBe(1);
  return batch_id;
}

/** The id of this job once the budget lets it in: what has ended is free again a moment later. */
export function onceLetIn(api: Api, job: object): Promise<string> {
  const submitted = async () => {
    const { job_id } = (await (await api.send(job)).json()) as { job_id?: string };
    return job_id;
  };
  return vi.waitUntil(submitted, { timeout: 10_000 });
}

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";

import { batchName, objectName } from "../../src/ids.ts";
import type { BatchObject } from "../../src/ledgers/batch-object.ts";
import type { BatchRpc } from "../../src/ledgers/batch-rpc.ts";
import { batchOf } from "../../src/ledgers/batch-stub.ts";
import { BatchEvent, type BatchAccepted, type BatchView } from "../../src/schema/batch.ts";
import { newName } from "./support.ts";
import { request, submission } from "./worker-side.ts";

/** The Worker's environment without keys. */
export const OPEN = { ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none" } as unknown as Env;

export const TENANT = "dev";

export async function sendBatch(body: object, key = newName(), at = OPEN): Promise<Response> {
  return request(at, "/api/batches", submission(key, body));
}

/** A new batch with so many items. */
export async function submittedBatch(total: number, over: object = {}): Promise<BatchAccepted> {
  const prompts = Array.from({ length: total }, (_, at) => `Question ${at}`);
  const answer = await sendBatch({ prompts, ...over });
  expect(answer.status).toBe(202);
  return answer.json<BatchAccepted>();
}

export function batch(id: string): Promise<BatchRpc> {
  return batchOf(env, TENANT, id);
}

export async function batchObject(id: string): Promise<DurableObjectStub<BatchObject>> {
  return env.BATCHES.getByName(await batchName(TENANT, id));
}

export async function batchView(id: string): Promise<BatchView> {
  const found = await (await batch(id)).read(TENANT);
  if (found.type !== "found") throw new Error(`the batch is ${found.type}`);
  return found.value;
}

/** Lets the batch's alarm ring, and so carries out all that is to be done. */
export async function carryOn(id: string): Promise<void> {
  await runDurableObjectAlarm(await batchObject(id));
}

/** The batch's object loses its memory. */
export async function evictBatch(id: string): Promise<void> {
  await evictDurableObject(await batchObject(id));
}

export async function batchRows(id: string) {
  return runInDurableObject(await batchObject(id), async (_batch, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    alarm: await storage.getAlarm(),
  }));
}

/** The whole log, each event of the shape that readers are promised. */
export async function batchEvents(id: string): Promise<BatchEvent[]> {
  const page = await (await batch(id)).log(0, TENANT);
  if (page.type !== "found") throw new Error(`the batch is ${page.type}`);
  return page.value.events.map(({ json }) => BatchEvent.parse(JSON.parse(json)));
}

/** The name of a job's object. */
export function nameOfJob(jobId: string): Promise<string> {
  return objectName(TENANT, jobId);
}

/** The batch once it is so: its jobs tell it behind everybody's back. */
export function untilBatch(id: string, wanted: (view: BatchView) => boolean): Promise<BatchView> {
  return vi.waitUntil(
    async () => {
      const view = await batchView(id);
      return wanted(view) ? view : undefined;
    },
    { timeout: 10_000 },
  );
}

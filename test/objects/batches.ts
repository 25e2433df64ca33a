import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";

import type { Told } from "../../src/domain/batch-place.ts";
import { batchName, objectName } from "../../src/ids.ts";
import type { BatchObject } from "../../src/ledgers/batch-object.ts";
import type { BatchRpc } from "../../src/ledgers/batch-rpc.ts";
import { batchOf } from "../../src/ledgers/batch-stub.ts";
import { BatchEvent, type BatchAccepted, type BatchView } from "../../src/schema/batch.ts";
import { toldBy } from "../domain/batch-fixtures.ts";
import { deadLetter, job, leased, newName, OUTAGE, REPORT } from "./support.ts";
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

/** What the first job of an item would tell. */
export async function toldOfItem(id: string, index: number, status: Told["status"]): Promise<Told> {
  const found = await (await batch(id)).entries(index, 1, TENANT);
  const [item] = found.type === "found" ? found.value.entries : [];
  const jobId = item?.job_id ?? "";
  const uid = jobId.replace("job_", "");
  return toldBy(index, status, { batchUid: uid.replace(/_\d+$/, ""), jobId, uid });
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

/** The whole log, as its readers are sent it. */
export async function batchLines(id: string): Promise<string[]> {
  const page = await (await batch(id)).log(0, TENANT);
  if (page.type !== "found") throw new Error(`the batch is ${page.type}`);
  return page.value.events.map(({ json }) => json);
}

/** The same, each event of the shape that readers are promised. */
export async function batchEvents(id: string): Promise<BatchEvent[]> {
  return (await batchLines(id)).map((line) => BatchEvent.parse(JSON.parse(line)));
}

/** The name of a job's object. */
export function nameOfJob(jobId: string): Promise<string> {
  return objectName(TENANT, jobId);
}

/** One of its jobs fails for good. */
export async function failJob(jobId: string): Promise<void> {
  const name = await nameOfJob(jobId);
  const { token } = await leased(name);
  await job(name).fail(token, { ...OUTAGE, remedy: "give_up" }, REPORT);
  await deadLetter(name);
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

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, vi } from "vitest";

import type { Doorbell } from "../../src/schema/message.ts";
import { faultyOperation, type Faults, type Kind } from "../support/faulty.ts";
import { standInForLedgers } from "./ledgers.ts";
import { newName, objectOf } from "./support.ts";

/** The queue behind each binding. */
const QUEUES = {
  LANE_HIGH: "jobs-high",
  LANE_NORMAL: "jobs-normal",
  LANE_LOW: "jobs-low",
  LANE_LONG: "jobs-long",
  DEAD_LETTERS: "jobs-dead-letter",
  WEBHOOKS: "webhooks",
  WEBHOOK_DEAD_LETTERS: "webhooks-dead-letter",
} as const;

/** A message, and the queue it is for. */
export type Letter = { queue: string; body: Doorbell };

type Stage = { faults: Faults | null; send: (letter: Letter, delayMs: number) => Promise<void> };

/** What all objects of this file meet: the faults of their disks, and the queues they send to. */
export const stage: Stage = { faults: null, send: () => Promise.resolve() };

/** Puts the queues, the ledgers, the disks and the console of this file's objects on the stage. */
export function holdStage(): void {
  beforeAll(async () => {
    for (const [binding, queue] of Object.entries(QUEUES)) {
      const send = async (body: Doorbell, { delaySeconds = 0 }: QueueSendOptions = {}) => {
        await stage.send({ queue, body }, delaySeconds * 1_000);
        return { metadata: { metrics: { backlogCount: 0 } } };
      };
      Object.defineProperty(Reflect.get(env, binding), "send", { value: send });
    }
    // Their disks are not on this stage: what the jobs tell them may be lost, and is nobody's to wait for.
    standInForLedgers();
    // All objects' storages have this prototype.
    await runInDurableObject(objectOf(newName()), (_object, { storage }) => {
      const disk = Object.getPrototypeOf(storage.kv) as object;
      breakable(disk, "put", "write failed");
      breakable(disk, "list", "read failed");
    });
    for (const level of ["log", "error"] as const) {
      vi.spyOn(console, level).mockImplementation(() => {});
    }
  });
}

function breakable(disk: object, name: string, kind: Kind): void {
  const operation = Reflect.get(disk, name) as (...args: unknown[]) => unknown;
  const value = function (this: unknown, ...args: unknown[]): unknown {
    const { faults } = stage;
    const asked = faults === null ? operation : faultyOperation(kind, operation, faults);
    return Reflect.apply(asked, this, args);
  };
  Object.defineProperty(disk, name, { value });
}

/**
 * Calls an object's method from inside, and carries the answer or the error out by hand: the test runtime reports an
 * error that leaves an object as unhandled, whoever catches it.
 */
export async function askInside(name: string, method: string, args: unknown[]): Promise<unknown> {
  const told = await runInDurableObject(objectOf(name), async (object) => {
    try {
      const answer: unknown = await Reflect.apply(
        Reflect.get(object, method),
        object,
        structuredClone(args),
      );
      return { answer };
    } catch (error) {
      return { error };
    }
  });
  if ("error" in told) throw told.error;
  return structuredClone(told.answer);
}

/** Asked without a read of the disk, which may fail. */
export function alarmOf(name: string): Promise<number | null> {
  return again(() =>
    runInDurableObject(objectOf(name), (_object, { storage }) => storage.getAlarm()),
  );
}

/** What this world does itself is done once more where a reset of all objects has cut it off. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch {
    return work();
  }
}

/** Only an object that runs can be evicted, so it is woken first. */
export async function evict(name: string): Promise<void> {
  await again(async () => {
    await alarmOf(name);
    await evictDurableObject(objectOf(name));
  });
}

/** Lets the object's alarm ring now, if it has one. */
export async function ring(name: string): Promise<void> {
  await again(() => runDurableObjectAlarm(objectOf(name)));
}

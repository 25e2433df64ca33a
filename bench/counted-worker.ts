import worker, { BatchObject as Batch, JobObject as Product } from "afterword";
import type { Env, Queue, State } from "afterword";

import { LANES, newBill, type Bill } from "./bill.ts";

// The other objects as they are; the job's and the batch's are the ones below.
export * from "afterword";

/** The product, unchanged, but that it counts for each job and batch what the platform would bill. */
const bills = new Map<string, Bill>();
const nameOfJob = new Map<string, string>();

function billOf(name: string): Bill {
  const bill = bills.get(name) ?? newBill();
  bills.set(name, bill);
  return bill;
}

export class JobObject extends Product {
  constructor(state: State, env: Env) {
    const bill = countedStorage(state);
    const queues = LANES.map((lane) => [lane, countedQueue(env[lane], bill)] as const);
    super(state, { ...env, ...Object.fromEntries(queues) });
  }

  counted(): Bill {
    return countedSoFar(this.ctx);
  }
}

export class BatchObject extends Batch {
  constructor(state: State, env: Env) {
    countedStorage(state);
    super(state, env);
  }

  counted(): Bill {
    return countedSoFar(this.ctx);
  }
}

function countedStorage(state: State): Bill {
  const bill = billOf(state.id.name ?? "");
  const { storage } = state;
  count(storage, "setAlarm", bill);
  count(storage, "deleteAlarm", bill);
  count(storage, "deleteAll", bill);
  count(storage.kv, "put", bill);
  count(storage.kv, "delete", bill);
  refuseSql(storage.sql);
  return bill;
}

function countedSoFar({ id, storage }: State): Bill {
  return { ...billOf(id.name ?? ""), bytes: storage.sql.databaseSize };
}

function count(target: object, name: string, bill: Bill): void {
  const real = Reflect.get(target, name) as (...args: unknown[]) => unknown;
  const counted = (...args: unknown[]) => {
    bill.writes[name] = (bill.writes[name] ?? 0) + 1;
    return real.apply(target, args);
  };
  Object.defineProperty(target, name, { value: counted });
}

/** The product writes by key and value. The local runtime notes the object's name in a table of its own. */
function refuseSql(sql: State["storage"]["sql"]): void {
  const exec = sql.exec.bind(sql);
  sql.exec = (query, ...bindings) => {
    if (/__miniflare/.test(query)) return exec(query, ...bindings);
    throw new Error("rows written by SQL are not counted");
  };
}

function countedQueue(queue: Queue, bill: Bill): Queue {
  return {
    send: (...args) => {
      bill.sent += 1;
      return queue.send(...args);
    },
  };
}

countCalls(Product.prototype, JobObject.prototype);
countCalls(Batch.prototype, BatchObject.prototype);

function countCalls(product: object, counting: object): void {
  for (const method of Object.getOwnPropertyNames(product)) {
    const real: unknown = Reflect.get(product, method);
    if (method === "constructor" || typeof real !== "function") continue;
    const value = function (this: { ctx: State }, ...args: unknown[]): unknown {
      const name = this.ctx.id.name ?? "";
      const { calls } = billOf(name);
      calls[method] = (calls[method] ?? 0) + 1;
      if (method === "submit") nameOfJob.set((args[0] as { id: string }).id, name);
      return real.apply(this, args);
    };
    Object.defineProperty(counting, method, { value });
  }
}

console.log = (line: string) => {
  const { job_id, batch_id = "" } = JSON.parse(line) as { job_id?: string; batch_id?: string };
  billOf(nameOfJob.get(job_id ?? batch_id) ?? "").logLines += 1;
};

export default {
  fetch: async (...args: Parameters<typeof worker.fetch>) => {
    const [request, env] = args;
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/api/bill") return worker.fetch(...args);
    const batch = searchParams.get("batch");
    const object =
      batch === null
        ? env.JOBS.getByName(searchParams.get("object") ?? "")
        : env.BATCHES.getByName(batch);
    return Response.json(await object.counted());
  },
  queue: (...args: Parameters<typeof worker.queue>) => {
    for (const { body } of args[0].messages) billOf(body.job).delivered += 1;
    return worker.queue(...args);
  },
};

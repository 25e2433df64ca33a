/** The product's entry as the counting Worker sees it; product-main.ts says where it is. */
declare module "afterword" {
  export type Queue = { send(...args: unknown[]): Promise<unknown> };
  export type Lane = "LANE_HIGH" | "LANE_NORMAL" | "LANE_LOW" | "LANE_LONG" | "DEAD_LETTERS";
  export type FilledListing = {
    put(listing: object): Promise<void>;
    fill(plan: object): Promise<unknown>;
  };
  export type CountedJob = { counted(): Promise<unknown> };
  export type FilledJob = { fill(plan: object): Promise<void> };
  export type Env = Record<Lane, Queue> & {
    JOBS: { getByName(name: string): CountedJob & FilledJob };
    BATCHES: { getByName(name: string): CountedJob };
    LISTINGS: { getByName(name: string): FilledListing };
    LETTERS: { getByName(name: string): { add(letters: unknown[]): Promise<void> } };
  };
  export type State = {
    id: { name?: string };
    storage: {
      setAlarm: (...args: unknown[]) => unknown;
      deleteAlarm: (...args: unknown[]) => unknown;
      deleteAll: (...args: unknown[]) => unknown;
      kv: Record<"put" | "delete", (...args: unknown[]) => unknown>;
      sql: { databaseSize: number; exec: (query: string, ...bindings: unknown[]) => unknown };
    };
  };
  export class ListingObject {
    protected ctx: State;
    constructor(state: State, env: Env);
    put(listing: object): void;
  }
  export class JobObject {
    protected ctx: State;
    constructor(state: State, env: Env);
    lease(token: string): { type: string };
    append(token: string, part: object): { go: boolean };
    complete(token: string, rest: object, answer: object, report: object): unknown;
  }

  export class BatchObject {
    protected ctx: State;
    constructor(state: State, env: Env);
  }

  type Batch = { messages: { body: { job: string } }[] };
  const worker: {
    fetch(request: Request, env: Env, context: unknown): Response | Promise<Response>;
    queue(batch: Batch, env: Env, context: unknown): Promise<void>;
  };
  export default worker;
}

/** The product's entry as the counting Worker sees it; product-main.ts says where it is. */
declare module "afterword" {
  export type Queue = { send(...args: unknown[]): Promise<unknown> };
  export type Lane = "LANE_HIGH" | "LANE_NORMAL" | "LANE_LOW" | "LANE_LONG" | "DEAD_LETTERS";
  export type Env = Record<Lane, Queue> & {
    JOBS: { getByName(name: string): { bill(): Promise<unknown> } };
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
  export class JobObject {
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

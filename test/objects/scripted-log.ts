import type { Frame, JobRpc, LogPage } from "../../src/job/job-rpc.ts";

/** A job's object as far as its followers know it: a log that grows, ends and fails when a test says so. */
export class ScriptedLog {
  readonly frames: Frame[] = [];
  /** How many pages were asked for, and how many sockets opened. */
  pages = 0;
  sockets = 0;
  /** Takes no more sockets. */
  full = false;
  /** Happens as a socket is asked for, before it is opened. */
  beforeSocket = () => {};
  readonly #pageSize: number;
  readonly #open = new Set<WebSocket>();
  #ended = false;
  #deleted = false;
  #broken = false;
  #refused = 0;
  #stirred = Promise.withResolvers<void>();

  constructor({ pageSize = 100 } = {}) {
    this.#pageSize = pageSize;
  }

  get open(): number {
    return this.#open.size;
  }

  /** A fresh stub; a call by one that was used before throws, as it does once an object was reset. */
  stub(): Promise<JobRpc> {
    const used = { calls: 0 };
    const once = () => {
      used.calls += 1;
      if (this.#broken || used.calls > 1) throw new Error("the object was reset");
    };
    const stub: Pick<JobRpc, "log" | "fetch"> = {
      log: async (after) => {
        once();
        return this.#deleted ? { type: "gone" } : { type: "found", value: this.pageAfter(after) };
      },
      fetch: async (request) => {
        once();
        this.beforeSocket();
        return this.#attach(Number(new URL(request.url).searchParams.get("after")));
      },
    };
    return Promise.resolve(stub as JobRpc);
  }

  pageAfter(after: number): LogPage {
    this.pages += 1;
    const events = this.frames.slice(after, after + this.#pageSize);
    const more = after + events.length < this.frames.length;
    const lastSeq = this.frames.length;
    const status = this.#ended ? "completed" : "active";
    return { jobId: "test-123", status, lastSeq, ended: this.#ended, events, more };
  }

  say(count: number): void {
    for (let said = 0; said < count; said++) this.#append("delta");
  }

  end(): void {
    if (this.#ended) return;
    this.#append("completed");
    this.#ended = true;
    this.cut();
  }

  /** Ends and is evicted before it has sent any of that. */
  endUnsent(): void {
    const sockets = [...this.#open];
    this.#open.clear();
    this.#append("completed");
    this.#ended = true;
    for (const socket of sockets) socket.close(1000, "Evicted");
  }

  /** Sends a frame to all, whether or not it is in the log. */
  send({ seq, json }: Frame): void {
    for (const socket of this.#open) socket.send(`id: ${seq}\ndata: ${json}\n\n`);
  }

  /** Closes all sockets, as a deploy does. */
  cut(): void {
    for (const socket of this.#open) socket.close(1000, "Cut");
    this.#open.clear();
    this.#stir();
  }

  delete(): void {
    this.#deleted = true;
    this.cut();
  }

  breakDown(): void {
    this.#broken = true;
    this.cut();
  }

  /** Resolves once somebody is attached. */
  attached(): Promise<void> {
    return this.#until(() => this.#open.size > 0);
  }

  /** Resolves once nobody is. */
  left(): Promise<void> {
    return this.#until(() => this.#open.size === 0);
  }

  refusedOne(): Promise<void> {
    return this.#until(() => this.#refused > 0);
  }

  /** Resolves after what was sent has arrived. */
  async idle(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  #attach(after: number): Response {
    if (this.#deleted) return new Response(null, { status: 410 });
    if (this.full) {
      this.#refused += 1;
      this.#stir();
      return new Response(null, { status: 503 });
    }
    this.sockets += 1;
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("close", () => {
      this.#open.delete(server);
      this.#stir();
    });
    this.#open.add(server);
    for (const { seq, json } of this.frames.slice(after)) {
      server.send(`id: ${seq}\ndata: ${json}\n\n`);
    }
    if (this.#ended) this.cut();
    this.#stir();
    return new Response(null, { status: 101, webSocket: client });
  }

  #append(type: string): void {
    const seq = this.frames.length + 1;
    const frame = { seq, json: JSON.stringify({ type, seq }) };
    this.frames.push(frame);
    this.send(frame);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#stirred.promise;
  }

  #stir(): void {
    this.#stirred.resolve();
    this.#stirred = Promise.withResolvers<void>();
  }
}

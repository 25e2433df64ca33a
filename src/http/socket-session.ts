import type { Found, OwnJob, LogPage } from "../job-rpc.ts";
import { pause } from "../pause.ts";
import type { SocketMessage, SocketNote } from "../schema/socket.ts";
import { follow, JobDeleted } from "./follow.ts";
import { hasRoom } from "./socket-room.ts";

type SessionPorts = {
  /** What is in the log of one of the caller's own jobs after this `seq`. Rejects where it cannot be reached. */
  read: (id: string, after: number) => Promise<Found<LogPage>>;
  job: (id: string) => Promise<OwnJob>;
  /** Text that may wait for the client, in characters. */
  maxBacklog: number;
};

/** How following a job came to its end. `lost`: its object could not be reached. `deleted`: it is no more. */
type End = "told" | "stopped" | "lost" | "deleted";

/** Jobs one socket may follow at a time (the contract's number). */
const MAX_JOBS = 100;

/** How often it is looked whether a client has taken what was sent, and for how long it may take none of it. */
const LOOK_AGAIN_MS = 20;
const STUCK_MS = 15_000;

const TYPE_START = '{"type":"';

/**
 * One client's WebSocket and the jobs it follows, each at the client's own pace: what waits for a slow one stays in the
 * jobs' logs, and one that takes nothing is cut. Their objects may hibernate meanwhile, and never hear of its pings.
 */
export class SocketSession {
  readonly #socket: WebSocket;
  readonly #ports: SessionPorts;
  readonly #followed = new Map<string, AbortController>();

  constructor(socket: WebSocket, ports: SessionPorts) {
    this.#socket = socket;
    this.#ports = ports;
  }

  /** Carries out what the client asks for. A job it follows already is followed anew, from the cursor it names. */
  obey(message: SocketMessage): void {
    const { job_id } = message;
    if (message.type === "unsubscribe") {
      this.#followed.get(job_id)?.abort();
      this.#followed.delete(job_id);
      return this.#say({ type: "unsubscribed", job_id });
    }
    if (!this.#followed.has(job_id) && this.#followed.size >= MAX_JOBS) {
      const refusal = `At most ${MAX_JOBS} jobs can be followed at once`;
      return this.#say({ type: "error", job_id, message: refusal });
    }
    void this.#subscribe(job_id, message.after ?? 0);
  }

  /** Tells the client of one job, from a page of its log on. Never rejects. */
  async tell(id: string, first: LogPage, after: number, stop = this.#begin(id)): Promise<End> {
    const job = () => this.#ports.job(id);
    const reading = { job, first, after, maxBacklog: this.#ports.maxBacklog };
    try {
      for await (const frames of follow(reading, stop.signal)) {
        for (const { json } of frames) {
          if (!hasRoom(this.#socket)) await this.#drained(stop.signal);
          if (stop.signal.aborted) return "stopped";
          this.#socket.send(`${TYPE_START}job_${json.slice(TYPE_START.length)}`);
        }
      }
      return stop.signal.aborted ? "stopped" : "told";
    } catch (error) {
      if (stop.signal.aborted) return "stopped";
      if (!(error instanceof JobDeleted)) return "lost";
      this.#say({ type: "error", job_id: id, message: "Job not found" });
      return "deleted";
    } finally {
      if (this.#followed.get(id) === stop) this.#followed.delete(id);
    }
  }

  /** The client has gone, or must go. */
  end(): void {
    for (const stop of this.#followed.values()) stop.abort();
  }

  async #subscribe(id: string, after: number): Promise<void> {
    const stop = this.#begin(id);
    const found = await this.#ports.read(id, after).catch(() => null);
    if (stop.signal.aborted) return;
    if (found?.type !== "found") {
      this.#followed.delete(id);
      if (found === null) return this.#socket.close(1012, "Come again");
      return this.#say({ type: "error", job_id: id, message: "Job not found" });
    }
    this.#say({ type: "subscribed", job_id: id });
    const end = await this.tell(id, found.value, after, stop);
    // What clients do on their own is to connect again, and to subscribe when they have.
    if (end === "lost") this.#socket.close(1012, "Come again");
  }

  #begin(id: string): AbortController {
    this.#followed.get(id)?.abort();
    const stop = new AbortController();
    this.#followed.set(id, stop);
    return stop;
  }

  #say(note: SocketNote): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(note));
  }

  /** Resolves once the client has taken enough of what was sent. One that takes nothing for long is cut. */
  async #drained(stop: AbortSignal): Promise<void> {
    let waiting = this.#socket.bufferedAmount;
    let since = Date.now();
    while (!hasRoom(this.#socket) && !stop.aborted) {
      await pause(LOOK_AGAIN_MS, stop);
      if (this.#socket.bufferedAmount < waiting) since = Date.now();
      waiting = this.#socket.bufferedAmount;
      if (Date.now() - since > STUCK_MS) {
        this.#socket.close(1013, "Too slow");
        return this.end();
      }
    }
  }
}

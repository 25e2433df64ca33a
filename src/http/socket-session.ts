import type { Frame, LogPage, OwnJob } from "../job/job-rpc.ts";
import { pause } from "../pause.ts";
import type { SocketMessage, SocketNote } from "../schema/socket.ts";
import { Allowance } from "./allowance.ts";
import { jsonOf } from "./event-json.ts";
import { follow } from "./follow.ts";
import { LogDeleted, pageAfter } from "./log-page.ts";
import { hasRoom } from "./socket-room.ts";
import { holdWhole } from "./whole-text.ts";

type SessionPorts = {
  /** Whether the client may ask for a job of this id; there need not be one. */
  mayName: (id: string) => boolean;
  job: (id: string) => Promise<OwnJob>;
  /** Text that may wait for the client, in characters. */
  maxBacklog: number;
};

/** Where to follow a job from, and what is to be done once it is known to be there. */
type Start = { after: number; first?: LogPage; found?: () => void };

/** How following a job came to its end. `lost`: its object could not be reached. `deleted`: it is no more. */
type End = "told" | "stopped" | "lost" | "deleted";

/** Jobs one socket may follow at a time (the contract's number). */
const MAX_JOBS = 100;

/** How soon it is looked whether a client has taken what was sent, twice as late each time; and how long it may take none. */
const LOOK_AGAIN_MS = { first: 20, last: 200 };
const STUCK_MS = 15_000;

/** How long a message that is held whole counts as held here: then it is the socket's, however slowly it is taken. */
const HELD_MS = 30_000;

const TYPE_START = '{"type":"';

/**
 * One client's WebSocket and the jobs it follows, in turns and at the client's own pace: what waits for a slow one stays in
 * the jobs' logs, and one that takes nothing is cut. Their objects may hibernate meanwhile, and never hear of its pings.
 */
export class SocketSession {
  readonly #socket: WebSocket;
  readonly #ports: SessionPorts;
  readonly #allowance: Allowance;
  readonly #followed = new Map<string, AbortController>();

  constructor(socket: WebSocket, ports: SessionPorts) {
    this.#socket = socket;
    this.#ports = ports;
    this.#allowance = new Allowance(ports.maxBacklog);
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
    if (!this.#ports.mayName(job_id)) return this.#sayUnknown(job_id);
    void this.#subscribe(job_id, message.after ?? 0);
  }

  /** Tells the client of one job. Never rejects. */
  async tell(id: string, { after, first, found }: Start): Promise<End> {
    const stop = this.#begin(id);
    const job = () => this.#ports.job(id);
    const reading = { log: job, first, after, allowance: this.#allowance };
    let isFound = false;
    try {
      for await (const frames of follow(reading, stop.signal)) {
        if (stop.signal.aborted) return "stopped";
        if (!isFound) found?.();
        isFound = true;
        for (const frame of frames) {
          await this.#drained(stop.signal);
          if (stop.signal.aborted) return "stopped";
          if (frame.text === undefined) this.#sendEvent(frame.json);
          else await this.#sendWhole(frame, frame.text.bytes, job, stop.signal);
        }
      }
      return stop.signal.aborted ? "stopped" : "told";
    } catch (error) {
      if (stop.signal.aborted) return "stopped";
      if (!(error instanceof LogDeleted)) return "lost";
      this.#sayUnknown(id);
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
    const found = () => this.#say({ type: "subscribed", job_id: id });
    const end = await this.tell(id, { after, found });
    // What clients do on their own is to connect again, and to subscribe when they have.
    if (end === "lost") this.#socket.close(1012, "Come again");
  }

  #begin(id: string): AbortController {
    this.#followed.get(id)?.abort();
    const stop = new AbortController();
    this.#followed.set(id, stop);
    return stop;
  }

  #sendEvent(json: string): void {
    this.#socket.send(`${TYPE_START}job_${json.slice(TYPE_START.length)}`);
  }

  /** A message cannot be sent in parts, so it is held whole until the client has taken it, or has had its time for that. */
  async #sendWhole(
    frame: Frame,
    bytes: number,
    job: () => Promise<OwnJob>,
    stop: AbortSignal,
  ): Promise<void> {
    const letGo = await holdWhole(bytes, stop);
    try {
      if (stop.aborted) return;
      let json = "";
      for await (const piece of jsonOf(frame, (cursor) => pageAfter(job, cursor, stop))) {
        if (stop.aborted) return;
        json += piece;
      }
      if (stop.aborted) return;
      this.#sendEvent(json);
      json = "";
      await this.#drained(stop, HELD_MS);
    } finally {
      letGo();
    }
  }

  #sayUnknown(job_id: string): void {
    this.#say({ type: "error", job_id, message: "Job not found" });
  }

  #say(note: SocketNote): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(note));
  }

  /** Resolves once the client has taken enough of what was sent, or after `mostMs`. One that takes nothing for long is cut. */
  async #drained(stop: AbortSignal, mostMs = Infinity): Promise<void> {
    const until = Date.now() + mostMs;
    let waiting = this.#socket.bufferedAmount;
    let since = Date.now();
    let lookMs = LOOK_AGAIN_MS.first;
    while (!hasRoom(this.#socket) && !stop.aborted && Date.now() < until) {
      await pause(lookMs, stop);
      lookMs = Math.min(2 * lookMs, LOOK_AGAIN_MS.last);
      if (this.#socket.bufferedAmount < waiting) since = Date.now();
      waiting = this.#socket.bufferedAmount;
      if (Date.now() - since > STUCK_MS) {
        this.#socket.close(1013, "Too slow");
        return this.end();
      }
    }
  }
}

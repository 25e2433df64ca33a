import { expect, vi } from "vitest";

import { SocketSession } from "../../src/http/socket-session.ts";
import { ScriptedLog } from "./scripted-log.ts";

type Told = { type: string; job_id?: string; message?: string };

/** A client's socket, whose buffer is as full as a test says. */
export class Client {
  readonly told: Told[] = [];
  readonly server: WebSocket;
  /** Bytes that the client has not taken. */
  buffered = 0;
  closed: number | null = null;

  constructor() {
    const { 0: client, 1: server } = new WebSocketPair();
    client.accept();
    client.addEventListener("message", ({ data }) => {
      const text = String(data);
      this.told.push(text === "pong" ? { type: text } : (JSON.parse(text) as Told));
    });
    client.addEventListener("close", ({ code }) => (this.closed = code));
    server.binaryType = "arraybuffer";
    server.accept();
    Object.defineProperty(server, "bufferedAmount", { get: () => this.buffered });
    this.server = server;
    this.say = (message) => client.send(message);
  }

  readonly say: (message: string | ArrayBuffer) => void;

  until(condition: () => boolean): Promise<void> {
    return vi.waitFor(() => expect(condition()).toBe(true), { interval: 1, timeout: 3_000 });
  }

  ofType(type: string): Told[] {
    return this.told.filter((told) => told.type === type);
  }
}

const mayName = (id: string) => id !== "of another";

/** A client, its session, and the logs of the jobs it may follow. */
export function opened({ logs = new Map<string, ScriptedLog>() } = {}) {
  const client = new Client();
  const unknown = new ScriptedLog();
  unknown.delete();
  const job = (id: string) => (logs.get(id) ?? unknown).stub();
  const session = new SocketSession(client.server, { mayName, job, maxBacklog: 1_000 });
  const subscribe = (job_id: string, after?: number) =>
    session.obey({ type: "subscribe", job_id, ...(after === undefined ? {} : { after }) });
  return { client, session, subscribe };
}

export function logsOf(count: number): Map<string, ScriptedLog> {
  const ids = Array.from({ length: count }, (_, at) => `job-${at}`);
  return new Map(ids.map((id) => [id, begun()]));
}

export function begun(said = 1): ScriptedLog {
  const log = new ScriptedLog();
  log.say(said);
  return log;
}

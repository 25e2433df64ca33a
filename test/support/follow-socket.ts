import { once } from "node:events";
import { WebSocket, type ClientOptions } from "ws";

/**
 * How long a follower waits for the end of the connection once both sides have said that they close it.
 * The object takes 10 s where its client never said a word (it lets go as it hibernates); a browser waits less.
 */
const CLOSE_TIMEOUT_MS = 200;

/** A WebSocket follower of jobs, and all it was told. */
export class SocketFollower {
  readonly socket: WebSocket;
  /** The raw frames, in the order they came. */
  readonly frames: string[] = [];
  /** The code it was closed with. */
  readonly closed: Promise<number>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => this.frames.push(data.toString()));
    this.closed = new Promise((resolve) => {
      socket.once("close", resolve);
    });
  }

  /** Resolves once it is open. */
  static async open(
    api: string,
    path: string,
    headers = {},
    protocols: string[] = [],
  ): Promise<SocketFollower> {
    const follower = new SocketFollower(connect(api, path, headers, protocols));
    await once(follower.socket, "open");
    return follower;
  }

  /** The frames as events of section 3: without the prefix of their type. */
  get events(): Record<string, unknown>[] {
    return this.frames.map((frame) => {
      const event = JSON.parse(frame) as { type: string };
      return { ...event, type: event.type.replace(/^job_/, "") };
    });
  }

  /** The same, as what it was told of one job. */
  eventsOf(id: string): Record<string, unknown>[] {
    return this.events.filter(({ job_id, seq }) => job_id === id && seq !== undefined);
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The first frame that the predicate takes, now or later. */
  async frame(wanted: (frame: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.frames.find(wanted);
      if (found !== undefined) return found;
      await once(this.socket, "message", { signal: AbortSignal.timeout(5_000) });
    }
  }
}

/** The status with which an upgrade was refused. */
export async function refusedUpgrade(
  api: string,
  path: string,
  protocols: string[] = [],
): Promise<number | undefined> {
  const socket = connect(api, path, {}, protocols);
  const [, answer] = (await once(socket, "unexpected-response")) as [
    unknown,
    { statusCode?: number },
  ];
  socket.on("error", () => {});
  socket.terminate();
  return answer.statusCode;
}

function connect(api: string, path: string, headers: object, protocols: string[]): WebSocket {
  const closeTimeout = CLOSE_TIMEOUT_MS;
  const options = { headers, closeTimeout } as ClientOptions & { closeTimeout: number };
  return new WebSocket(`${api.replace(/^http/, "ws")}${path}`, protocols, options);
}

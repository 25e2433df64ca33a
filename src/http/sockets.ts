import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { SocketMessage } from "../schema/socket.ts";
import { expiryOf, needsToFollow } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { found, JobParams, jobStub, mayName } from "./jobs.ts";
import { eventCursorOf } from "./log-answer.ts";
import { Listener } from "./socket-listener.ts";
import { SocketSession } from "./socket-session.ts";

/** The only subprotocol that is ever selected: a client that names its token as another must not see it repeated. */
const SUBPROTOCOL = "jobs.v1";

const upgrade = {
  headers: z.object({
    "sec-websocket-protocol": z.string().optional().meta({
      description: "From a browser: `jobs.v1, bearer.<subscribe token>`.",
    }),
  }),
};

const followRoute = createRoute({
  method: "get",
  path: "/ws/jobs/{id}",
  operationId: "followJobBySocket",
  tags: ["events"],
  summary: "Follow a job by WebSocket",
  description:
    "Frames are the events of the log, their type prefixed with `job_`. Text `ping` answers `pong`. Closes 1000 after the terminal event, 4401 when the token it was opened with expires or the key is revoked.",
  ...needsToFollow("jobs:read"),
  request: { ...upgrade, params: JobParams, query: z.object({ after: z.string().optional() }) },
  responses: {
    101: { description: "Switching protocols" },
    ...problems(401, 403, 404, 410, 426, 500, 503),
  },
});

const followManyRoute = createRoute({
  method: "get",
  path: "/ws",
  operationId: "followJobsBySocket",
  tags: ["events"],
  summary: "Follow up to 100 jobs by one WebSocket",
  description:
    'Say `{"type":"subscribe","job_id":"…","after":0}`, and `unsubscribe`. Answers `subscribed`, then that job\'s events.',
  ...needsToFollow("jobs:read"),
  request: upgrade,
  responses: { 101: { description: "Switching protocols" }, ...problems(401, 403, 426, 500, 503) },
});

export const sockets = new OpenAPIHono<App>({ defaultHook: refuseInvalid });
sockets.openAPIRegistry.register("SocketMessage", SocketMessage);

sockets.openapi(followRoute, async (c) => {
  refuseOther(c);
  const { id } = c.req.valid("param");
  const after = eventCursorOf(c.req.query("after")) ?? 0;
  const first = found(await (await jobStub(c, id)).log(after, true));
  const { answer, socket, session } = openSession(c, () => false);
  const tell = async () => {
    const end = await session.tell(id, { after, first });
    if (end === "told" || end === "deleted") socket.close(1000, "The job has ended");
    if (end === "lost") socket.close(1012, "Come again");
  };
  // The open socket keeps this alive, as a body that is being streamed does.
  void tell();
  return answer;
});

sockets.openapi(followManyRoute, (c) => {
  refuseOther(c);
  return openSession(c, (session, text) => {
    const message = SocketMessage.safeParse(parsed(text));
    if (message.success) session.obey(message.data);
    return message.success;
  }).answer;
});

function refuseOther(c: Context<App>): void {
  if (c.req.header("upgrade")?.toLowerCase() === "websocket") return;
  throw new ApiError("upgrade-required", "This is a WebSocket", {
    headers: { upgrade: "websocket" },
  });
}

/** A socket to the client. `obey`: false where what it says makes no sense. */
function openSession(c: Context<App>, obey: (session: SocketSession, text: string) => boolean) {
  const { 0: client, 1: socket } = new WebSocketPair();
  // A Blob, the platform's default, tells its bytes to those who wait only.
  socket.binaryType = "arraybuffer";
  socket.accept();
  const session = new SocketSession(socket, {
    mayName: (id) => mayName(c, id),
    job: (id) => jobStub(c, id),
    maxBacklog: c.get("config").SSE_MAX_BACKLOG_BYTES,
  });
  const ended = new AbortController();
  const over = () => {
    session.end();
    ended.abort();
  };
  new Listener(socket, { obey: (text) => obey(session, text), over }).listen();
  socket.addEventListener("close", over);
  socket.addEventListener("error", over);
  expiryOf(c, ended.signal).addEventListener("abort", () => {
    socket.close(4401, "The token has expired, or the key been revoked");
    over();
  });
  const offered = c.req.header("sec-websocket-protocol")?.split(",") ?? [];
  const selected = offered.some((name) => name.trim() === SUBPROTOCOL);
  const headers: HeadersInit = selected ? { "sec-websocket-protocol": SUBPROTOCOL } : {};
  return {
    socket,
    session,
    answer: new Response(null, { status: 101, webSocket: client, headers }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

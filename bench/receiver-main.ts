import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

import type { Taken } from "./taken.ts";

/**
 * A receiver of webhooks in a process of its own: 204 at once, or no answer ever at `/hang…`. `GET /-/taken?path=&since=`
 * tells the events that came there (`Taken`), each once, and `/-/count` how many they are.
 */
const server = createServer((req, res) => void answer(req, res));
server.keepAliveTimeout = 0;
await once(server.listen(0, "127.0.0.1"), "listening");
process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
process.once("disconnect", () => process.exit());

type Told = { job_id: string; completed_at: string };

const taken = new Map<string, Taken[]>();

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(req.url ?? "/", "http://receiver");
  const asked = () => firstOf(searchParams.get("path") ?? "", Number(searchParams.get("since")));
  switch (pathname) {
    case "/-/taken":
      return void res.end(JSON.stringify(asked()));
    case "/-/count":
      return void res.end(String(asked().length));
    default:
      await take(pathname, req);
      if (!pathname.startsWith("/hang")) res.writeHead(204).end();
  }
}

/** Each event once. */
function firstOf(path: string, since: number): Taken[] {
  const first = new Map<string, Taken>();
  for (const event of taken.get(path) ?? []) {
    if (event.at >= since && !first.has(event.deliveryId)) first.set(event.deliveryId, event);
  }
  return [...first.values()];
}

async function take(pathname: string, req: IncomingMessage): Promise<void> {
  const { job_id, completed_at } = (await json(req)) as Told;
  const deliveryId = String(req.headers["webhook-id"]);
  const event = { jobId: job_id, deliveryId, endedAt: Date.parse(completed_at), at: Date.now() };
  const before = taken.get(pathname);
  if (before === undefined) taken.set(pathname, [event]);
  else before.push(event);
}

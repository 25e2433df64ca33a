import type { FollowedLog } from "../followed.ts";

/**
 * A socket to a log's object, which may hibernate under it, with what comes after `after`: every event (`sse`), or a word
 * when something other than text has come (`poll`). Null: it takes no more sockets, or there is no such log.
 */
export async function logSocket(
  log: Pick<FollowedLog, "fetch">,
  format: "sse" | "poll",
  after: number,
): Promise<WebSocket | null> {
  const url = `https://log/?format=${format}&after=${after}`;
  const answer = await log.fetch(new Request(url, { headers: { upgrade: "websocket" } }));
  return answer.webSocket;
}

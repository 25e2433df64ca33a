import type { OwnJob } from "../job/job-rpc.ts";

/**
 * A socket to a job's object, which may hibernate under it, with what comes after `after`: every event (`sse`), or a word
 * when something other than text has come (`poll`). Null: it takes no more sockets, or there is no such job.
 */
export async function jobSocket(
  job: OwnJob,
  format: "sse" | "poll",
  after: number,
): Promise<WebSocket | null> {
  const url = `https://job/?format=${format}&after=${after}`;
  const answer = await job.fetch(new Request(url, { headers: { upgrade: "websocket" } }));
  return answer.webSocket;
}

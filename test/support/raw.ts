import { request } from "node:http";

/** An answer as it came; 101 where the other side agreed to speak another protocol. */
export type Raw = { status: number; headers: Record<string, unknown>; body: string };

const UPGRADE = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** Asks by HTTP itself: fetch can neither ask for a socket nor show what refuses one. */
export function askRaw(
  url: string,
  {
    method,
    headers,
    socket,
    body = "",
  }: { method: string; headers: object; socket: boolean; body?: string },
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const sent = { ...headers, ...(socket ? UPGRADE : {}) };
    const asked = request(url, { method, headers: sent }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        const body = Buffer.concat(parts).toString();
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body });
      });
    });
    asked.on("upgrade", (_answer, opened) => {
      opened.destroy();
      resolve({ status: 101, headers: {}, body: "" });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

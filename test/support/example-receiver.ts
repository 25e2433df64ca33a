import { setTimeout as sleep } from "node:timers/promises";

import { freePort, killGroup, spawnLeashed } from "./child.ts";

const READY_WITHIN_MS = 40_000;

/** One of the example receivers, running as its author would run it. */
export type Receiver = {
  url: string;
  /** Posts this body with these headers; resolves to the answer's status and text. */
  post: (
    body: string,
    headers: Record<string, string>,
  ) => Promise<{ status: number; text: string }>;
  /** All it has written so far. */
  output: () => string;
  close: () => Promise<void>;
};

/** `command`: what to give to Node, from the port it shall listen on. */
export async function startReceiver(
  command: (port: string) => Promise<string[]> | string[],
  secret: string,
): Promise<Receiver> {
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}/webhooks`;
  const child = spawnLeashed(await command(port), {
    PORT: port,
    WEBHOOK_SECRET: secret,
    CI: "1",
    NO_COLOR: "1",
    WRANGLER_SEND_METRICS: "false",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: string) => (output += text));
  }
  const post: Receiver["post"] = async (body, headers) => {
    const sent = { "content-type": "application/json", ...headers };
    const answer = await fetch(url, { method: "POST", body, headers: sent });
    return { status: answer.status, text: await answer.text() };
  };
  const close = () => killGroup(child);
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    // Unsigned: whatever it says, it listens.
    const answer = await post("{}", {}).catch(() => null);
    if (answer !== null) return { url, post, output: () => output, close };
    await sleep(50);
  }
  await close();
  throw new Error(`the receiver did not start:\n${output.slice(-2_000)}`);
}

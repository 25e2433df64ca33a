import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import type { Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

const JOBS = scaled(20, 3);
const STREAM = { tokens: scaled(200, 20), every: 50 };
const STREAM_SECONDS = (STREAM.tokens * STREAM.every) / 1_000;
const PATIENCE_MS = 60_000;

/** One round: what `npm start` runs, from nothing to its first 202, then jobs one after another. */
export async function measureStart(provider: Server, samples: Samples): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), "afterword-bench-"));
  const [port, inspectorPort] = [await freePort(), await freePort()];
  const startedAt = performance.now();
  const child = await spawnStart(provider, { port, inspectorPort, state });
  try {
    using client = new Client(`http://127.0.0.1:${port}`);
    await firstAccepted(client, child, startedAt + PATIENCE_MS);
    samples.add("first 202", performance.now() - startedAt);
    const ids: string[] = [];
    for (let job = 0; job < JOBS; job++)
      ids.push(await client.submit({ prompt: promptFor(STREAM) }));
    const submittedAt = performance.now();
    await Promise.all(ids.map((id) => client.follow(id)));
    const seconds = (performance.now() - submittedAt) / 1_000;
    samples.add("all done", seconds);
    samples.add("ratio", seconds / STREAM_SECONDS);
  } finally {
    await stop(child);
    await rm(state, { recursive: true, force: true });
  }
}

async function firstAccepted(client: Client, child: ChildProcess, until: number): Promise<void> {
  for (;;) {
    try {
      await client.submit({ prompt: promptFor({ tokens: 1 }) });
      return;
    } catch (error) {
      // Nobody listens yet.
      const early = (error as { code?: unknown }).code;
      if (early !== "ECONNREFUSED" && early !== "ECONNRESET") throw error;
      if (child.exitCode !== null || performance.now() > until) throw error;
      await sleep(20);
    }
  }
}

/** In a process group of its own, for it starts others. */
async function spawnStart(
  provider: Server,
  { port, inspectorPort, state }: { port: number; inspectorPort: number; state: string },
): Promise<ChildProcess> {
  const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as {
    scripts: { start: string };
  };
  const where = `--ip 127.0.0.1 --port ${port} --inspector-port ${inspectorPort} --persist-to ${state}`;
  const model = `--var OPENAI_BASE_URL:${provider.url}/v1 --var OPENAI_API_KEY:bench --var OPENAI_REQUESTS_PER_MINUTE:0`;
  return spawn("sh", ["-c", `exec ${scripts.start} ${where} ${model}`], {
    detached: true,
    stdio: "ignore",
    env: {
      ...process.env,
      PATH: [resolve("node_modules/.bin"), process.env["PATH"]].join(delimiter),
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_SEND_METRICS: "false",
    },
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null) return;
  const ended = once(child, "exit");
  process.kill(-child.pid, "SIGTERM");
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

export function startTable(samples: Samples): string {
  return table(
    ["From a cold start", "measured", "ideal", "÷ ideal"],
    [
      ["process start to the first 202, ms", samples.show("first 202"), "–", "–"],
      [
        `${JOBS} jobs of ${STREAM_SECONDS} s submitted one after another: last submission to all done, s`,
        samples.show("all done"),
        String(STREAM_SECONDS),
        samples.show("ratio"),
      ],
    ],
  );
}

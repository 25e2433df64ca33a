import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort, killGroup, spawnLeashed, type Child } from "./child.ts";

const READY_WITHIN_MS = 40_000;

/**
 * The product as its users run it: `npm start` with settings, in a process group of its own, its state in
 * a directory that outlives the processes. It can be killed at any moment and started again.
 *
 * Unlike the in-process harness it has sockets of its own to the provider, which close as in production;
 * the harness fetches through a proxy that reads on when the Worker has left.
 */
export class WranglerProcess {
  readonly #vars: Record<string, string>;
  readonly #directory: string;
  readonly #ports: [number, number];
  readonly #output: string[] = [];
  #child: Child | undefined;

  private constructor(vars: Record<string, string>, directory: string, ports: [number, number]) {
    this.#vars = vars;
    this.#directory = directory;
    this.#ports = ports;
  }

  static async start(vars: Record<string, string>): Promise<WranglerProcess> {
    const directory = await mkdtemp(join(tmpdir(), "afterword-"));
    const started = new WranglerProcess(vars, directory, [await freePort(), await freePort()]);
    await started.start();
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#ports[0]}`;
  }

  /** All it has written so far, over all its lives. */
  get output(): string {
    return this.#output.join("");
  }

  /** Resolves once it answers. */
  async start(): Promise<void> {
    const [port, inspectorPort] = this.#ports;
    const child = spawnLeashed(await this.#command(port, inspectorPort), {
      CI: "1",
      NO_COLOR: "1",
      WRANGLER_SEND_METRICS: "false",
      // Others of the same name on this machine must neither get our messages nor give us theirs.
      WRANGLER_REGISTRY_PATH: join(this.#directory, "registry"),
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text: string) => this.#output.push(text));
    }
    await this.#ready(child);
  }

  /** Ends every process of it at once, in the middle of whatever it does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    await killGroup(child);
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** What `npm start` runs, read where npm reads it. */
  async #command(port: number, inspectorPort: number): Promise<string[]> {
    const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as {
      scripts: { start: string };
    };
    const [tool, ...args] = scripts.start.split(" ");
    if (tool !== "wrangler") throw new Error("npm start no longer starts wrangler");
    const vars = Object.entries(this.#vars).flatMap(([name, value]) => [
      "--var",
      `${name}:${value}`,
    ]);
    const ports = ["--port", `${port}`, "--inspector-port", `${inspectorPort}`];
    const state = ["--persist-to", join(this.#directory, "state")];
    return ["node_modules/wrangler/bin/wrangler.js", ...args, ...ports, ...state, ...vars];
  }

  async #ready(child: Child): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
      const signal = AbortSignal.timeout(2_000);
      const answer = await fetch(`${this.url}/health`, { signal }).catch(() => null);
      if (answer?.ok) return;
      await sleep(50);
    }
    await this.close();
    throw new Error(`the product did not start:\n${this.output.slice(-2_000)}`);
  }
}

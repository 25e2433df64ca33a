import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** A server in a process below this one. */
export type Server = { url: string; pid: number } & AsyncDisposable;

/** A model that does as the prompt says (`promptFor`). */
export function startProvider(): Promise<Server> {
  return start("provider-main.ts", []);
}

/** A receiver of webhooks, which answers at once or, at `/hang`, never. */
export function startReceiver(): Promise<Server> {
  return start("receiver-main.ts", []);
}

/** The product as built, with the provider behind it. `entry`: a Worker here that wraps it, in its place. */
export function startProduct(
  provider: Server,
  { vars = {}, entry }: { vars?: Record<string, string>; entry?: string } = {},
): Promise<Server> {
  const unlimited = { OPENAI_API_KEY: "bench", OPENAI_REQUESTS_PER_MINUTE: "0" };
  const settings = { OPENAI_BASE_URL: `${provider.url}/v1`, ...unlimited, ...vars };
  return start("product-main.ts", [JSON.stringify({ vars: settings, entry })]);
}

async function start(file: string, args: string[]): Promise<Server> {
  const child = fork(join(import.meta.dirname, file), args, {
    // Whatever a server has to say is no figure.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    // The harness would ask the network where it is.
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" },
  });
  const died = once(child, "exit").then(() => {
    throw new Error(`${file} ended before it listened`);
  });
  const [message] = (await Promise.race([once(child, "message"), died])) as [{ url: string }];
  died.catch(() => {});
  return { ...message, pid: child.pid ?? 0, [Symbol.asyncDispose]: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, "exit");
  child.disconnect();
  await ended;
}

/** Resident memory of the workerd processes below a process, in bytes. */
export async function workerdMemory(pid: number): Promise<number> {
  const processes = await Promise.all((await readdir("/proc")).filter(isPid).map(statusOf));
  const below = new Set([String(pid)]);
  // A child may be listed before its parent.
  for (let before = 0; before < below.size;) {
    before = below.size;
    for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid);
  }
  const workerds = processes.filter(({ pid, name }) => below.has(pid) && name === "workerd");
  if (workerds.length === 0) throw new Error("there is no workerd process");
  return workerds.reduce((sum, { resident }) => sum + resident, 0);
}

/** Resident memory of one process, in bytes. */
export async function processMemory(pid: number): Promise<number> {
  const { resident } = await statusOf(String(pid));
  if (!(resident > 0)) throw new Error(`there is no process ${pid}`);
  return resident;
}

function isPid(name: string): boolean {
  return /^\d+$/.test(name);
}

async function statusOf(pid: string) {
  // Empty for a process that has ended meanwhile.
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  return {
    pid,
    name: field("Name"),
    parent: field("PPid"),
    resident: Number(field("VmRSS")) * 1_024,
  };
}

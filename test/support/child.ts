import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { Readable, Writable } from "node:stream";

/** Runs a command whose whole process group dies with us, however we end: our end of the pipe closes then. */
const LEASHED = 'exec 3<&0; (cat <&3; kill -9 0) & exec "$@" 3<&- </dev/null';

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Starts a program of Node in a process group of its own, which does not outlive this process. */
export function spawnLeashed(args: string[], env: NodeJS.ProcessEnv): Child {
  const child = spawn("sh", ["-c", LEASHED, "sh", process.execPath, ...args], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8");
  return child;
}

/** Ends every process of its group at once, in the middle of whatever it does. */
export async function killGroup(child: Child): Promise<void> {
  const hasExited = child.exitCode !== null || child.signalCode !== null;
  const exited = hasExited ? null : once(child, "exit");
  try {
    // Only ever a group that we made: its id is that of its first process.
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of it has ended already.
  }
  await exited;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

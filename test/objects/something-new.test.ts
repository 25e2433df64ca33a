import { describe, expect, it } from "vitest";

import { somethingNew } from "../../src/http/changes.ts";
import { ScriptedLog } from "./scripted-log.ts";

const NEVER = new AbortController().signal;
const AN_HOUR_MS = 3_600_000;

function wait(log: ScriptedLog, gone = NEVER, forMs = AN_HOUR_MS): Promise<void> {
  const until = Date.now() + forMs;
  const after = log.frames.length;
  return somethingNew({ log: () => log.stub(), after, awaits: "event", until }, gone);
}

describe("waiting for something new", () => {
  it("ends with the next event, with the socket, and with its time", async () => {
    const log = new ScriptedLog();
    const heard = wait(log);
    await log.attached();
    log.say(1);
    await heard;
    await log.left();
    const cut = wait(log);
    await log.attached();
    log.cut();
    await cut;
    await wait(log, NEVER, 1);
    await log.left();
  });

  it("ends as soon as nobody waits any more, and lets go of the job", async () => {
    const log = new ScriptedLog();
    const amid = new AbortController();
    const left = wait(log, amid.signal);
    await log.attached();
    amid.abort();
    await left;
    await log.left();
    const early = new AbortController();
    log.beforeSocket = () => early.abort();
    await wait(log, early.signal);
    await log.left();
    const { sockets } = log;
    await wait(log, early.signal);
    expect(log.sockets).toBe(sockets);
  });

  it("ends where the job cannot be reached, and after a break where it takes no more sockets", async () => {
    const broken = new ScriptedLog();
    broken.breakDown();
    await wait(broken);
    const full = new ScriptedLog();
    full.full = true;
    const asked = Date.now();
    await wait(full);
    expect(Date.now() - asked).toBeGreaterThan(900);
  });
});

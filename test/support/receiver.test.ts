import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  answer,
  cutBody,
  delayed,
  endlessBody,
  hang,
  hugeHeaders,
  Receiver,
  redirect,
  resetAfterEffect,
  resetBeforeReading,
  slowBody,
  slowHeaders,
  throttle,
  type Received,
} from "./receiver.ts";

let receiver: Receiver;
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.close());

const post = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(receiver.url(path), { method: "POST", body: "größe", redirect: "manual", ...init });

/** A request whose client leaves as soon as it was taken; what the receiver saw of it. */
async function leave(path: string): Promise<Received> {
  const leaving = new AbortController();
  const asked = expect(post(path, { signal: leaving.signal })).rejects.toThrow("aborted");
  const [received] = await receiver.received(1, { path });
  leaving.abort();
  await asked;
  await receiver.until(() => received?.leftEarly === true, "the client gone");
  if (received === undefined) throw new Error("nothing was received");
  return received;
}

describe("a receiver", () => {
  it("keeps what it was sent, byte for byte, and says 200", async () => {
    const before = Date.now();
    const response = await post("/hook?a=b", { headers: { "X-Key": "v" } });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    const [received] = await receiver.received(1);
    expect(received).toMatchObject({ method: "POST", path: "/hook?a=b", text: "größe" });
    expect(received?.headers["x-key"]).toBe("v");
    expect(received?.body).toEqual(Buffer.from("größe"));
    expect(received?.at).toBeGreaterThanOrEqual(before);
  });

  it("follows the plan of each path step by step, the last for ever", async () => {
    receiver.plan("/hook", 500, answer(503, { "x-a": "b" }, "later"), 204);
    receiver.plan("/gone", 410);
    const statuses = [];
    for (const path of ["/hook", "/gone", "/hook", "/gone", "/hook", "/hook", "/other"]) {
      statuses.push((await post(path)).status);
    }
    expect(statuses).toEqual([500, 410, 503, 410, 204, 204, 200]);
    expect(receiver.at("/hook")).toHaveLength(4);
  });

  it("answers with what was planned", async () => {
    receiver.plan("/a", answer(418, { "x-a": "b" }, "tea"));
    const response = await post("/a");
    expect([response.status, await response.text()]).toEqual([418, "tea"]);
    expect(response.headers.get("x-a")).toBe("b");
    receiver.plan("/b", redirect(307, "/a"));
    expect((await post("/b")).headers.get("location")).toBe("/a");
    receiver.plan("/c", throttle("soon"));
    expect((await post("/c")).headers.get("retry-after")).toBe("soon");
    receiver.plan("/d", delayed(1));
    expect((await post("/d")).status).toBe(200);
  });

  it("hands over what was received as soon as there is enough of it", async () => {
    const waiting = receiver.received(2, { path: "/a" });
    await post("/a");
    await post("/b");
    await post("/a");
    expect(await waiting).toMatchObject([{ path: "/a" }, { path: "/a" }]);
    await expect(receiver.received(9, { timeoutMs: 1 })).rejects.toThrow("came: 3 /a,/b,/a");
  });

  it("hangs until its client leaves, and counts who waits", async () => {
    receiver.plan("/hang", hang);
    const received = await leave("/hang");
    expect(received.leftEarly).toBe(true);
    await receiver.until(() => receiver.active === 0, "nobody there");
    expect(receiver.peak).toBe(1);
  });

  it("begins headers that never end", async () => {
    receiver.plan("/slow", slowHeaders(1));
    await leave("/slow");
  });

  it.each([
    ["drips", slowBody(1)],
    ["pours", endlessBody()],
  ])("%s a body that never ends", async (_, behaviour) => {
    receiver.plan("/body", behaviour);
    const response = await post("/body");
    const reader = response.body?.getReader();
    for (let read = 0; read < 3; read += 1) expect((await reader?.read())?.done).toBe(false);
    await reader?.cancel();
    const [received] = receiver.at("/body");
    await receiver.until(() => received?.leftEarly === true, "the client gone");
  });

  it("cuts connections before and after it has taken a request", async () => {
    receiver.plan("/cut", resetBeforeReading, resetAfterEffect, 200);
    await expect(post("/cut")).rejects.toThrow("fetch failed");
    expect([receiver.refused, receiver.all.length]).toEqual([1, 0]);
    await expect(post("/cut")).rejects.toThrow("fetch failed");
    expect(receiver.all).toMatchObject([{ text: "größe", leftEarly: false }]);
    expect((await post("/cut")).status).toBe(200);
  });

  it("breaks a body off, and sends more headers than are taken", async () => {
    receiver.plan("/cut", cutBody("beginning"));
    await expect((await post("/cut")).text()).rejects.toThrow("terminated");
    expect(receiver.at("/cut")).toMatchObject([{ leftEarly: false }]);
    receiver.plan("/huge", hugeHeaders());
    await expect(post("/huge")).rejects.toThrow("fetch failed");
  });

  it("runs as a process of its own, told and asked over HTTP", async () => {
    const main = new URL("receiver-main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [origin] = (await once(createInterface(child.stdout), "line")) as [string];
      const plan = JSON.stringify([500, answer(200, {}, "taken")]);
      await fetch(`${origin}/-/plan?path=/hook`, { method: "PUT", body: plan });
      const hook = (): Promise<Response> => fetch(`${origin}/hook`, { method: "POST", body: "x" });
      expect((await hook()).status).toBe(500);
      expect(await (await hook()).text()).toBe("taken");
      const received: unknown = await (await fetch(`${origin}/-/received`)).json();
      expect(received).toMatchObject([{ path: "/hook", text: "x" }, { text: "x" }]);
      expect(received).not.toHaveProperty("0.body");
      expect((await fetch(`${origin}/-/else`)).status).toBe(404);
    } finally {
      child.kill();
    }
  });
});

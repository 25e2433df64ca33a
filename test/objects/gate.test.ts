import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { GateRpc } from "../../src/ledgers/gate-rpc.ts";
import { gateNamed } from "../../src/ledgers/gate-stub.ts";
import { holdClock, newName, NOTHING_STORED, passTime } from "./support.ts";

holdClock();

function gate(name: string): GateRpc {
  return gateNamed(env, name);
}

/** How many of so many that come at once are let in. */
async function entering(name: string, count: number, kind: string): Promise<number> {
  const entries = await Promise.all(
    Array.from({ length: count }, (_, at) => gate(name).enter(`${kind}-${at}`)),
  );
  return entries.filter(({ type }) => type === "enter").length;
}

/** A gate whose origin has answered so often, quickly, that it is trusted with all ten. */
async function trusted(): Promise<string> {
  const name = newName();
  for (let at = 0; at < 8; at++) {
    await gate(name).enter(`first-${at}`);
    await gate(name).leave(`first-${at}`, 50);
  }
  return name;
}

describe("the gate to an origin", () => {
  it("lets ten in at once, and tells the others when to come again", async () => {
    const name = await trusted();
    expect(await entering(name, 50, "a")).toBe(10);
    const entry = await gate(name).enter("late");
    expect(entry).toEqual({ type: "wait", delaySeconds: expect.any(Number) });
    await gate(name).leave("a-0", 200);
    expect(await gate(name).enter("late")).toEqual({ type: "enter" });
    expect((await gate(name).enter("later")).type).toBe("wait");
  });

  it("lets two in where nothing is known of it, and one more after each quick answer", async () => {
    const name = newName();
    expect(await entering(name, 10, "a")).toBe(2);
    await gate(name).leave("a-0", 50);
    expect(await entering(name, 10, "b")).toBe(2);
  });

  it("keeps who comes for a moment, and lets them in one after the other as others leave", async () => {
    const name = newName();
    await entering(name, 2, "a");
    const kept = ["b-0", "b-1"].map((pass) => gate(name).enter(pass));
    await gate(name).leave("a-0", 50);
    await gate(name).leave("a-1", 50);
    expect(await Promise.all(kept)).toEqual([{ type: "enter" }, { type: "enter" }]);
  });

  it("counts one that asks twice once", async () => {
    const name = await trusted();
    await Promise.all(Array.from({ length: 20 }, () => gate(name).enter("same")));
    expect(await entering(name, 20, "a")).toBe(9);
  });

  it("takes back by itself what was not given back, five seconds after the attempt's limit", async () => {
    const name = await trusted();
    await entering(name, 10, "a");
    passTime(14_999);
    expect(await entering(name, 10, "b")).toBe(0);
    passTime(1);
    expect(await entering(name, 20, "c")).toBe(10);
  });

  it("lets only two in at once where the origin hangs, though it was asleep meanwhile", async () => {
    const name = await trusted();
    await entering(name, 10, "a");
    await evictDurableObject(env.GATES.getByName(name));
    for (let at = 0; at < 10; at++) await gate(name).leave(`a-${at}`, 10_000);
    expect(await entering(name, 10, "b")).toBe(2);
    for (const pass of ["b-0", "b-1", "b-2", "b-3"]) await gate(name).leave(pass, 50);
    expect(await entering(name, 20, "c")).toBe(6);
  });

  it("holds up no other", async () => {
    const [dead, well] = [newName(), await trusted()];
    await entering(dead, 20, "a");
    expect(await entering(well, 10, "a")).toBe(10);
  });

  it("keeps nothing and has no alarm; evicted, it forgets", async () => {
    const name = await trusted();
    await entering(name, 20, "a");
    const object = env.GATES.getByName(name);
    const kept = await runInDurableObject(object, async (_gate, { storage }) => ({
      rows: [...storage.kv.list()],
      tables: storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
      alarm: await storage.getAlarm(),
    }));
    expect(kept).toEqual(NOTHING_STORED);
    await evictDurableObject(object);
    expect(await entering(name, 20, "b")).toBe(2);
  });
});

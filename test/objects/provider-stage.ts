import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, vi } from "vitest";

import type { Learned } from "../../src/domain/learned.ts";
import type { Asker } from "../../src/domain/permit-blocks.ts";
import type { Permit, Verdict, Wish } from "../../src/domain/permit.ts";
import type { CallTold, ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { DAY_MS, holdClock, newName, passTime, queues } from "./support.ts";

/** What each attempt may last. */
export const LASTS_MS = 60_000;
export const ASKER: Asker = { most: 1, spent: [], remaining: [], tokens: 0 };

/** A provider of its own for each test. No setting knows it, so it has the limits that are ordered. */
export function stageProvider() {
  let name = "";
  let jobs = 0;

  holdClock();
  beforeEach(() => {
    name = newName();
    // Each test has a time of its own, so that what is blocked in one is free in the next.
    vi.setSystemTime(Date.now() + DAY_MS);
  });

  function provider(): ProviderRpc {
    return providerNamed(env, name);
  }

  /** Limits it, and lets it rest until it has a whole burst. */
  async function limited(requests: number, tokens: number | null = null): Promise<void> {
    await provider().order({ requests, tokens });
    passTime(60_000);
  }

  function wishOf(over: Partial<Wish> = {}): Wish {
    jobs += 1;
    const [job, since] = [`job-${jobs}`, Date.now() + jobs];
    const needs = { tokens: 100, since, lastsMs: LASTS_MS };
    return { job, lane: "normal", tenant: "acme", ...needs, ...over };
  }

  function ask(over: Partial<Wish> = {}, asker = ASKER): Promise<Verdict> {
    return provider().ask(wishOf(over), asker);
  }

  /** The permits of who has use for so many calls. */
  async function permitted(over: Partial<Wish> = {}, most = 1): Promise<Permit> {
    const verdict = await ask(over, { ...ASKER, most });
    if (verdict.type !== "granted") throw new Error("parked");
    return verdict.permit;
  }

  /** Asks for so many jobs, one after the other; how many may call. */
  async function granted(count: number, over: Partial<Wish> = {}): Promise<number> {
    let calls = 0;
    for (let at = 0; at < count; at++) if ((await ask(over)).type === "granted") calls++;
    return calls;
  }

  function stored() {
    return runInDurableObject(env.PROVIDERS.getByName(name), async (_provider, { storage }) => {
      const tables = storage.sql.exec("SELECT name FROM sqlite_master").toArray();
      const parked = tables.some((table) => table["name"] === "parked")
        ? storage.sql.exec("SELECT job FROM parked").toArray()
        : null;
      const rows = [...storage.kv.list()];
      return { rows, tables, parked, alarm: await storage.getAlarm() };
    });
  }

  /** Moves the clock from alarm to alarm until it is somebody's turn. The jobs that were rung for, in their order. */
  async function nextTurns(): Promise<{ to: string; job: string }[]> {
    const before = queues.sent.length;
    for (let alarms = 0; alarms < 5; alarms++) {
      const { alarm } = await stored();
      if (alarm === null) throw new Error("there is no alarm");
      vi.setSystemTime(Math.max(Date.now(), alarm));
      await runDurableObjectAlarm(env.PROVIDERS.getByName(name));
      if (queues.sent.length > before) break;
    }
    return queues.sent.slice(before).map(({ to, body }) => ({ to, job: body.job }));
  }

  function evict(): Promise<void> {
    return evictDurableObject(env.PROVIDERS.getByName(name));
  }

  /** The job that wished so many wishes before the last. */
  function jobAt(before = 0): string {
    return `job-${jobs - before}`;
  }

  return {
    provider,
    limited,
    wishOf,
    ask,
    permitted,
    granted,
    stored,
    nextTurns,
    evict,
    jobAt,
    nameOf: () => name,
  };
}

/** What a consumer tells of a call. */
export function told(
  over: Partial<{ limited: boolean; tokens: number; learned: Partial<Learned> }> = {},
): CallTold {
  const { learned, ...call } = over;
  const known = { requests: null, tokens: null, retryAfterMs: null, ...learned };
  return { model: "gpt-4o", tokens: 0, limited: false, ...call, learned: known };
}

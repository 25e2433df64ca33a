import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import type { JobAccepted, JobView } from "../../src/schema/job.ts";
import { DAY_MS, forgetProvider, GPT, holdClock, logged, newName, passTime } from "./support.ts";
import { envWith, request, straight, submission } from "./worker-side.ts";

const SECOND = 1_000;
const { provider } = GPT;

holdClock();
beforeEach(async () => {
  await forgetProvider(provider);
  // What this isolate knows of lines from the test before is long over.
  vi.setSystemTime(Date.now() + DAY_MS);
  outlooks = 0;
});

/** How often lines were asked about. */
let outlooks = 0;

/** The Worker, which asks about lines as here. Without a word: as it is. */
function worker(outlook?: ProviderRpc["outlook"]): Env {
  const getByName = (name: string) => {
    const stub = providerNamed(env, name);
    const counted: ProviderRpc["outlook"] = (place) => {
      outlooks += 1;
      return (outlook ?? ((asked) => stub.outlook(asked)))(place);
    };
    return { outlook: counted };
  };
  return { ...envWith(straight), PROVIDERS: { getByName } } as unknown as Env;
}

/** So many jobs that wait for a provider of 60 a minute, of which nothing is left. */
async function line(count: number): Promise<void> {
  await providerNamed(env, provider).order({ requests: 60 });
  for (let at = 0; at < count; at++) await park(newName(), Date.now() - count + at);
}

async function park(job: string, since: number): Promise<void> {
  const wish = { job, lane: "normal", tenant: "dev", priority: 5, tokens: 100, since } as const;
  await providerNamed(env, provider).ask(wish, { most: 1, spent: [], tokens: 0 });
}

async function submit(env: Env, job: object = {}): Promise<JobAccepted> {
  passTime(1);
  const answer = await request(env, "/api/jobs", submission(newName(), { prompt: "Why?", ...job }));
  expect(answer.status).toBe(202);
  return answer.json();
}

async function read(env: Env, id: string): Promise<JobView> {
  const answer = await request(env, `/api/jobs/${id}`);
  expect(answer.status).toBe(200);
  return answer.json();
}

describe("a job that is submitted behind a line", () => {
  it("is told to wait for all before it, those too that are not in line yet", async () => {
    await line(10);
    const waits: number[] = [];
    for (let jobs = 0; jobs < 4; jobs++) waits.push((await submit(worker())).estimated_wait);
    expect(waits).toEqual([12, 14, 15, 16]);
    expect(outlooks).toBe(1);
  });

  it("is read with its place, which is asked for no more than once a second", async () => {
    await line(3);
    const first = await submit(worker());
    const second = await submit(worker());
    await park("first", Date.parse(first.submitted_at));
    passTime(SECOND);
    for (let polls = 0; polls < 5; polls++) {
      expect(await read(worker(), first.job_id)).toMatchObject({ queue_position: 3 });
      expect(await read(worker(), second.job_id)).toMatchObject({
        queue_position: 4,
        estimated_wait: 6,
      });
    }
    expect(outlooks).toBe(2);
  });

  it("is told of the line of the provider it asks for, and of its own lane", async () => {
    await line(10);
    expect((await submit(worker(), { priority: 1 })).estimated_wait).toBeLessThan(9);
    expect((await submit(worker(), { model: "simulator/slow" })).estimated_wait).toBe(0);
  });

  it("is told when it is due, if that is later", async () => {
    await line(10);
    const { estimated_wait, job_id } = await submit(worker(), { delay_seconds: 60 });
    expect(estimated_wait).toBe(72);
    // It stands in line when it is due: nobody is behind it before.
    expect((await submit(worker())).estimated_wait).toBe(12);
    expect(await read(worker(), job_id)).toMatchObject({ queue_position: 11 });
  });
});

describe("where the provider's object cannot be reached", () => {
  const faults: [string, ProviderRpc["outlook"]][] = [
    ["answers with a fault", () => Promise.reject(new Error("overloaded"))],
    ["never answers", () => new Promise(() => {})],
  ];

  it.each(faults)(
    "a job is taken and read all the same, should it be that it %s",
    async (_, fault) => {
      const { job_id, estimated_wait } = await submit(worker(fault));
      expect(estimated_wait).toBe(0);
      expect(await read(worker(fault), job_id)).toMatchObject({ queue_position: 0 });
      expect(outlooks).toBe(1);
      expect(logged).toContain(JSON.stringify({ event: "line.unknown", provider, error: "Error" }));
    },
  );

  it("what was heard last is told, for a minute", async () => {
    await line(3);
    const { job_id } = await submit(worker());
    const [, [, never]] = faults as [unknown, [string, ProviderRpc["outlook"]]];
    passTime(20 * SECOND);
    expect(await read(worker(never), job_id)).toMatchObject({ queue_position: 3 });
    passTime(60 * SECOND);
    expect(await read(worker(never), job_id)).toMatchObject({ queue_position: 0 });
  });
});

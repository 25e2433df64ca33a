import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { OwnJob } from "../../src/job/job-rpc.ts";
import { ownJobNamed } from "../../src/job/job-stub.ts";
import { holdQueues, job, newName, REQUEST, specOf } from "./support.ts";

holdQueues();

const ASKS: [string, (job: OwnJob) => Promise<{ type: string }>][] = [
  ["read", (job) => job.read(true)],
  ["glanced at", (job) => job.glance()],
  ["followed", (job) => job.log(0)],
  ["asked for its attempts", (job) => job.attempts()],
  ["asked for its deliveries", (job) => job.deliveries()],
  ["replayed a delivery of", (job) => job.replayDelivery("msg_x")],
  ["asked for its steps", (job) => job.steps()],
  [
    "answered",
    (job) => job.input({ requestId: "input_x_0", approved: true, output: "{}", digest: "d" }),
  ],
  ["retried", (job) => job.source()],
  ["cancelled", (job) => job.cancel("by a stranger")],
  ["deleted", (job) => job.delete()],
];

/** A job of Acme's, as somebody who takes it for this tenant's has it in his hands. */
async function acmesJob(tenant: string): Promise<OwnJob> {
  const name = newName();
  await job(name).submit(specOf({ id: name, tenant: "acme" }), REQUEST);
  return ownJobNamed(env, name, tenant);
}

function upgrade(): Request {
  return new Request("https://job/?format=sse&after=0", { headers: { upgrade: "websocket" } });
}

describe("a job, were its object ever reached by a name that is not its own", () => {
  it.each(ASKS)("is %s by its tenant, and unknown to another", async (_, ask) => {
    expect((await ask(await acmesJob("acme"))).type).toBe("found");
    const foreign = await acmesJob("rival");
    expect(await ask(foreign)).toEqual({ type: "unknown" });
    expect((await foreign.fetch(upgrade())).status).toBe(404);
  });

  it("is not changed by another, nor followed", async () => {
    const name = newName();
    await job(name).submit(specOf({ id: name, tenant: "acme" }), REQUEST);
    const before = await job(name).read(true);
    for (const [, ask] of ASKS) await ask(ownJobNamed(env, name, "rival"));
    expect(await job(name).read(true)).toEqual(before);
    const { webSocket } = await ownJobNamed(env, name, "acme").fetch(upgrade());
    webSocket?.accept();
    webSocket?.close();
    expect(webSocket).not.toBeNull();
  });

  it("is not given to another who submits the same", async () => {
    const name = newName();
    const own = specOf({ id: name, tenant: "acme" });
    await job(name).submit(own, REQUEST);
    expect((await job(name).submit(own, REQUEST)).type).toBe("replayed");
    const foreign = await job(name).submit({ ...own, tenant: "rival" }, REQUEST);
    expect(foreign).toEqual({ type: "reused" });
  });
});

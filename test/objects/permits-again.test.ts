import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";

import type { CallTold, ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { forgetProvider, GPT, holdClock, job, passTime, submitted } from "./support.ts";
import { answered, deliver, envWith, provide, straight } from "./worker-side.ts";

const { provider } = GPT;

holdClock();

it("what a call did not use comes back once, though the answer to that word was lost", async () => {
  await forgetProvider(provider);
  await providerNamed(env, provider).order({ requests: 50, tokens: 100_000 });
  passTime(60_000);
  const told: CallTold[] = [];
  const getByName = (name: string): Pick<ProviderRpc, "ask" | "settle"> => ({
    ask: (wish, asker) => providerNamed(env, name).ask(wish, asker),
    async settle(word) {
      told.push(word);
      await providerNamed(env, name).settle(word);
      if (told.length === 1) throw new Error("the answer is lost");
    },
  });
  const environment = { ...envWith(straight), PROVIDERS: { getByName } } as unknown as Env;
  provide(answered);
  const name = await submitted();
  await deliver(environment, "jobs-normal", [{ job: name }]);
  const [first, again] = told;
  expect(first?.tokens).toBeGreaterThan(0);
  expect(first?.id).toBeTypeOf("string");
  expect(again).toEqual(first);
});

it("a job that is cancelled, or deleted, while it waits for a permit waits no more", async () => {
  await forgetProvider(provider);
  await providerNamed(env, provider).order({ paused: true });
  const names = [await submitted(), await submitted(), await submitted()];
  const messages = names.map((name) => ({ job: name }));
  await deliver(envWith(straight), "jobs-normal", messages);
  const parked = async () => (await providerNamed(env, provider).state()).parked.normal;
  expect(await parked()).toBe(3);
  await job(names[0] ?? "").cancel("no longer wanted");
  await expect.poll(parked).toBe(2);
  await job(names[1] ?? "").delete();
  await expect.poll(parked).toBe(1);
});

it("a job that nobody has parked is cancelled without a trace at its provider", async () => {
  await forgetProvider(provider);
  const name = await submitted();
  const withdrawn = vi.spyOn(env.PROVIDERS, "getByName");
  await job(name).cancel("no longer wanted");
  await expect.poll(() => withdrawn.mock.calls).toEqual([[provider]]);
  withdrawn.mockRestore();
  const { parked } = await providerNamed(env, provider).state();
  expect(parked).toEqual({ high: 0, normal: 0, low: 0, long: 0 });
});

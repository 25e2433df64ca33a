import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

import type { CallTold, ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { forgetProvider, GPT, holdClock, passTime, submitted } from "./support.ts";
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

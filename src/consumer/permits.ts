import { Gathering } from "../domain/gathering.ts";
import { lineOf, type Lane, type Line } from "../domain/lane.ts";
import type { Learned } from "../domain/learned.ts";
import { LONGEST_MS, type News } from "../domain/permit.ts";
import { PermitBlocks, type Permitted } from "../domain/permit-blocks.ts";
import { isNews, learnedOf, type LearnedModel } from "../domain/provider-limits.ts";
import type { Call, ProviderRpc } from "../ledgers/provider-rpc.ts";
import { providerNamed } from "../ledgers/provider-stub.ts";
import { logFault } from "../log.ts";
import { pause } from "../pause.ts";
import type { Needs } from "../schema/message.ts";
import { within } from "../within.ts";

/** A permit for one call of a job, of whom it is, in which line and for how many tokens. */
export type Held = Permitted & { provider: string; line: Line };

/** How a call under a permit went. `used`: tokens; null where nobody knows. `servedMs`: what its answer took; null: it had none. */
export type CallEnd = {
  model: string;
  used: number | null;
  limited: boolean;
  servedMs: number | null;
  learned?: Learned;
};

/** Permission to call providers, for one job. Nothing here rejects. */
export interface Permits {
  /** Null: not now. The job rings again when it is its turn, or by its own alarm where nobody could be asked. */
  ask(needs: Needs): Promise<Held | null>;
  /** The permit was not used. */
  giveBack(held: Held): Promise<void>;
  /** The permit was used. */
  settle(held: Held, end: CallEnd): Promise<void>;
}

/** How long a provider's object may take, and what is waited before it is asked once more: it may have been reset. */
const ASK_WITHIN_MS = 2_000;
const ASK_AGAIN_MS = 200;

/** What this isolate has ahead, keeps together and has told. Values only: a promise must not be shared between invocations. */
const blocks = new Map<string, PermitBlocks>();
const gatherings = new Map<string, Gathering>();
const told = new Map<string, LearnedModel>();

/** Most models remembered to have been told of: what is forgotten is told again. */
const MOST_TOLD = 500;

/** The permits of the job of this name, whose message came through this lane. */
export function permitsFor(env: Env, job: string, lane: Lane): Permits {
  return {
    async ask({ provider, ...needs }) {
      const line = lineOf({ lane, priority: needs.priority });
      const { ahead, gathering } = kept(provider, line);
      const { tokens, lastsMs = LONGEST_MS, rung } = needs;
      const askedAt = Date.now();
      const taken = ahead.take({ ...needs, lastsMs }, askedAt);
      if (taken !== null) return { ...taken, provider, line };
      const wish = { job, lane, ...needs, lastsMs };
      if (rung !== true && gathering.isResting(askedAt)) {
        gathering.add(wish);
        await sayGathered(env, provider, line);
        return null;
      }
      const asker = once(ahead.asker(askedAt, rung));
      const verdict = await insist(env, provider, (object) => object.ask(wish, asker));
      if (verdict?.type === "parked") {
        ahead.parked();
        gathering.rest(verdict.restMs ?? 0, Date.now());
      }
      if (verdict?.type !== "granted") return null;
      return { ...ahead.put(verdict.permit, tokens, askedAt), provider, line };
    },
    async giveBack(held) {
      const { ahead } = kept(held.provider, held.line);
      ahead.back(held);
      const id = held.single ? held.id : null;
      if (id === null) return sayNews(env, held.provider, held.line);
      const news = once(ahead.news());
      await insist(env, held.provider, (object) => object.giveBack(id, news));
    },
    async settle(held, end) {
      const { ahead } = kept(held.provider, held.line);
      const tokens = held.tokens === null || end.used === null ? 0 : held.tokens - end.used;
      ahead.over(held, tokens);
      const { model, servedMs: ms } = end;
      if (ms !== null) ahead.measure({ lane, model, ms, tokens: end.used });
      // It may be closed to everybody now; those who had permits ahead must hear that too.
      if (end.limited) ahead.forget();
      const call = { model, limited: end.limited, learned: end.learned ?? null };
      const isNews = isTold(held.provider, call) || (held.single && tokens !== 0);
      if (!isNews) return sayNews(env, held.provider, held.line);
      const news = once(ahead.news());
      await insist(env, held.provider, (object) => object.settle({ ...call, ...news }));
    },
  };
}

type Kept = { ahead: PermitBlocks; gathering: Gathering };

/** What this isolate keeps of a line at a provider. */
function kept(provider: string, line: Line): Kept {
  const key = `${line} ${provider}`;
  const ahead = blocks.get(key) ?? new PermitBlocks();
  blocks.set(key, ahead);
  const gathering = gatherings.get(key) ?? new Gathering();
  gatherings.set(key, gathering);
  return { ahead, gathering };
}

/** Says what has become of permits, if anybody is to hear it yet. */
async function sayNews(env: Env, provider: string, line: Line): Promise<void> {
  const { ahead, gathering } = kept(provider, line);
  const now = Date.now();
  if (!ahead.isNewsDue(now)) return;
  if (gathering.isResting(now)) return sayGathered(env, provider, line);
  const news = once(ahead.news());
  await insist(env, provider, (object) => object.giveBack(null, news));
}

/** Says once its rest is over what this isolate has gathered, unless somebody else does. What is lost with it rings by its own alarm. */
async function sayGathered(env: Env, provider: string, line: Line): Promise<void> {
  const { ahead, gathering } = kept(provider, line);
  const waitMs = gathering.sayIn(Date.now());
  if (waitMs === null) return;
  await pause(waitMs, new AbortController().signal);
  const [wishes, news] = [gathering.take(), once(ahead.news())];
  const spared = await insist(env, provider, (object) => object.park(line, wishes, news));
  gathering.rest(spared?.restMs ?? 0, Date.now());
}

/** The same, so that its tokens count once however often it is told. */
function once<T extends News>(news: T): T {
  return news.tokens === 0 ? news : { ...news, id: crypto.randomUUID() };
}

/** Whether the provider's object must hear of this call at once: it tells of a limit that is new, or reached. */
function isTold(provider: string, { model, limited, learned }: Call): boolean {
  const isSpent = learned?.requests?.remaining === 0 || learned?.tokens?.remaining === 0;
  const known = learnedOf(learned, Date.now());
  if (known === null) return limited || isSpent;
  const key = `${provider} ${model}`;
  if (!isNews(told.get(key), known)) return limited || isSpent;
  if (told.size >= MOST_TOLD) told.clear();
  told.set(key, known);
  return true;
}

/** Asks twice; null: the provider's object could not be reached. */
async function insist<T>(
  env: Env,
  provider: string,
  call: (object: ProviderRpc) => Promise<T>,
): Promise<T | null> {
  for (const isLast of [false, true]) {
    try {
      return await within(ASK_WITHIN_MS, call(providerNamed(env, provider)));
    } catch (error) {
      if (isLast) logFault("provider.unreachable", { provider }, error);
      else await pause(ASK_AGAIN_MS, new AbortController().signal);
    }
  }
  return null;
}

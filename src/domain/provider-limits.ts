import type { Learned, LearnedLimit } from "./learned.ts";
import type { Limits } from "./permits.ts";

/** What an operator allows in a minute; 0: as much as one likes; null: nothing is said. */
export type LimitSetting = { requests: number | null; tokens: number | null };

/** What a model's answers said of its limits, and when. */
export type LearnedModel = Limits & { at: number };
export type LearnedModels = Readonly<Record<string, LearnedModel>>;

/** How long what was learned counts after it was last heard, and how often it is heard at least while calls are made. */
const LEARNED_FOR_MS = 3_600_000;
const HEARD_EVERY_MS = 600_000;

/** Models remembered of a provider: where it has more, those heard last. */
const MOST_MODELS = 50;

/**
 * What may be asked of a provider in a minute. The operator's word comes first, an order (`PUT`) before a setting, and is
 * only ever lowered by what the provider itself says; where there is none, the provider's own replaces the default.
 * Limits differ by model and permits do not, so the least of all models counts.
 */
export function limitsOf(
  says: { order: LimitSetting; setting: LimitSetting; fallback: Limits; learned: LearnedModels },
  now: number,
): Limits {
  const heard = Object.values(says.learned).filter(({ at }) => now - at < LEARNED_FOR_MS);
  const of = (kind: keyof Limits): number | null => {
    const told = heard.flatMap(({ [kind]: limit }) => limit ?? []);
    const learned = told.length === 0 ? null : Math.min(...told);
    const said = says.order[kind] ?? says.setting[kind];
    if (said === 0) return null;
    if (said === null) return learned ?? says.fallback[kind];
    return Math.min(said, learned ?? said);
  };
  return { requests: of("requests"), tokens: of("tokens") };
}

/** What an answer says of its model's limits by the minute; null: nothing. */
export function learnedOf(answer: Learned | null, now: number): LearnedModel | null {
  const requests = perMinute(answer?.requests ?? null);
  const tokens = perMinute(answer?.tokens ?? null);
  return requests === null && tokens === null ? null : { requests, tokens, at: now };
}

/** The same models, with what is known of one now. */
export function withLearned(
  learned: LearnedModels,
  model: string,
  known: LearnedModel,
): LearnedModels {
  const others = Object.entries(learned).filter(([name]) => name !== model);
  const kept = others.toSorted(([, a], [, b]) => b.at - a.at).slice(0, MOST_MODELS - 1);
  return Object.fromEntries([...kept, [model, known]]);
}

/** Whether it is worth telling, and writing down: another limit, or one that would be forgotten too soon. */
export function isNews(before: LearnedModel | undefined, after: LearnedModel): boolean {
  const isSame = before?.requests === after.requests && before?.tokens === after.tokens;
  return !isSame || after.at - (before?.at ?? 0) >= HEARD_EVERY_MS;
}

/** The windows that may still be a minute, as providers round. */
const MINUTE_AT_LEAST_MS = 30_000;
const MINUTE_AT_MOST_MS = 90_000;

/**
 * The limit, if it is one of a minute: providers do not say, and some count by the day or the second. A bucket that fills
 * evenly is full again after the used part of its window, which tells the window's length. Null where that cannot be told.
 */
function perMinute(told: LearnedLimit | null): number | null {
  if (told === null) return null;
  const { limit, remaining, resetMs } = told;
  if (limit === null || remaining === null || resetMs === null) return null;
  const used = limit - remaining;
  if (limit < 1 || used <= 0) return null;
  const windowMs = (resetMs * limit) / used;
  return windowMs >= MINUTE_AT_LEAST_MS && windowMs <= MINUTE_AT_MOST_MS ? limit : null;
}

/** First and longest block after a 429 that does not say for how long. Not long: others may be let in meanwhile. */
const FIRST_BLOCK_MS = 1_000;
const LONGEST_BLOCK_MS = 8_000;

/**
 * For how long nothing more may be asked of the provider, in milliseconds; 0: it may. `strikes`: its 429s in a row
 * before this answer that did not say. No provider may stop us for longer than `mostMs` at a time: what it says may be nonsense.
 */
export function blockMs(
  answer: { limited: boolean; learned: Learned | null },
  strikes: number,
  mostMs: number,
): number {
  const { limited, learned } = answer;
  const spent = [learned?.requests, learned?.tokens].flatMap((told) =>
    told?.remaining === 0 ? (told.resetMs ?? []) : [],
  );
  const resetMs = Math.max(0, ...spent);
  if (!limited) return Math.min(resetMs, mostMs);
  const unsaid = Math.min(FIRST_BLOCK_MS * 2 ** strikes, LONGEST_BLOCK_MS);
  return Math.min(learned?.retryAfterMs ?? (resetMs > 0 ? resetMs : unsaid), mostMs);
}

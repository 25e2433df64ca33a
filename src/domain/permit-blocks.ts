import type { Served } from "./measured.ts";
import { LONGEST_MS, type News, type Permit, type Spent } from "./permit.ts";
import type { Amount } from "./permits.ts";

/** What comes with a wish: how many calls there is use for, and what became of earlier permits. */
export type Asker = News & { most: number };

/** A call that is permitted. `tokens`: null where nobody counts them. `single`: its permit was for this call alone. */
export type Permitted = { id: string | null; tokens: number | null; single: boolean };

/** What is asked for where nothing is known of the demand: the desk grants one where the limit is small. */
const LEAST = 2;

/** Answered calls that are told of at once: of more, these are a fair sample. */
const MOST_SERVED = 100;

type Block = Amount & {
  id: string | null;
  used: number;
  until: number;
  lastsMs: number;
  rung: boolean;
};

/** What a call needs of a permit, and whether its job was rung for. */
export type CallNeeds = { tokens: number; lastsMs: number; rung?: boolean | undefined };

/**
 * The permits that one isolate has ahead for one lane of a provider, and its calls that are under way: so a provider's object is
 * asked once for many calls, and told once of many ends. Instants are of the isolate's own clock, from before it asked, so its
 * block ends before the object's.
 */
export class PermitBlocks {
  #block: Block | null = null;
  #spent: Spent[] = [];
  #tokens = 0;
  #served: Served[] = [];
  #most = LEAST;
  /** By permit, its calls that are under way or may still be made. */
  readonly #remaining = new Map<string, number>();
  readonly #untold = new Set<string>();
  #quietUntil = 0;

  /** One call of the block; null: the desk must be asked. */
  take({ tokens, lastsMs, rung = false }: CallNeeds, now: number): Permitted | null {
    const block = this.#block;
    if (block === null || now >= block.until || lastsMs > block.lastsMs) return null;
    if (block.rung && !rung) return null;
    if (block.requests < 1 || block.tokens < tokens) return null;
    block.requests -= 1;
    block.tokens -= tokens;
    block.used += 1;
    return { id: block.id, tokens: block.tokens === Infinity ? null : tokens, single: false };
  }

  /** For the next question to the desk, which has all that is untold with it. What only others may have is kept for them. */
  asker(now: number, rung = false): Asker {
    const isForOthers = this.#block?.rung === true && !rung && now < this.#block.until;
    if (!isForOthers) this.#drop();
    return { most: this.#most, ...this.news() };
  }

  /** What was had is told, and forgotten: should it be lost, it counts as used. With no call under way nothing is kept ahead. */
  news(): News {
    if (this.#running() === 0) this.#drop();
    const remaining = [...this.#untold].map((id) => ({ id, calls: this.#remaining.get(id) ?? 0 }));
    const told = { spent: this.#spent, tokens: this.#tokens, served: this.#served };
    for (const { id, calls } of remaining) if (calls === 0) this.#remaining.delete(id);
    this.#untold.clear();
    this.#spent = [];
    this.#tokens = 0;
    this.#served = [];
    return { ...told, remaining };
  }

  /** Whether news must be told at once: places are few, or nobody might come to tell it later. */
  isNewsDue(now: number): boolean {
    if (this.#running() === 0) return this.#remaining.size > 0;
    return this.#untold.size > 0 && now >= this.#quietUntil;
  }

  /** What the desk has granted, of which one call is made now. */
  put(permit: Permit, needed: number, askedAt: number): Permitted {
    const {
      id,
      requests,
      tokens,
      lifeMs,
      lastsMs = LONGEST_MS,
      quietMs = 0,
      rung = false,
    } = permit;
    if (requests > 1) {
      // Two that asked at once: there is use for one block.
      this.#drop();
      const [rest, until] = [{ requests: requests - 1, tokens: tokens - needed }, askedAt + lifeMs];
      this.#block = { id, ...rest, used: 1, until, lastsMs, rung };
    }
    if (id !== null) this.#remaining.set(id, requests);
    this.#quietUntil = askedAt + quietMs;
    return { id, tokens: tokens === Infinity ? null : needed, single: requests === 1 };
  }

  /** Others wait for what comes free here. */
  parked(): void {
    this.#quietUntil = 0;
  }

  /** A permitted call that was not made. Of a single one the desk must be told besides that it was not. */
  back({ id, tokens, single }: Permitted): void {
    if (single || this.#block === null || this.#block.id !== id) return this.#free(id, 1);
    this.#block.requests += 1;
    this.#block.tokens += tokens ?? 0;
    this.#block.used -= 1;
  }

  /** A call that was made is over. `tokens`: so many fewer were used than was foreseen; negative: more. */
  over({ id }: Permitted, tokens: number): void {
    this.#tokens += tokens;
    this.#free(id, 1);
  }

  /** A call that was answered, to be told of with what else there is. */
  measure(served: Served): void {
    if (this.#served.length < MOST_SERVED) this.#served.push(served);
  }

  /** Nothing more is to be called without asking. */
  forget(): void {
    this.#drop();
  }

  #running(): number {
    const all = [...this.#remaining.values()].reduce((sum, calls) => sum + calls, 0);
    return all - (this.#block?.id == null ? 0 : this.#block.requests);
  }

  #free(id: string | null, calls: number): void {
    if (id === null) return;
    this.#remaining.set(id, Math.max(0, (this.#remaining.get(id) ?? 0) - calls));
    this.#untold.add(id);
  }

  /** As many again as were used of the last block, and as many more: demand that grows is met in a few steps. */
  #drop(): void {
    if (this.#block === null) return;
    const { id, requests, tokens, used } = this.#block;
    this.#block = null;
    this.#most = Math.max(LEAST, 2 * used);
    if (id === null) return;
    this.#spent.push({ id, rest: { requests, tokens } });
    if (requests > 0) this.#free(id, requests);
  }
}

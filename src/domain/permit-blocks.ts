import type { Permit } from "./permit-desk.ts";
import type { Amount } from "./permits.ts";

/** What is left of permits that will not be used. */
export type Spent = { id: string; rest: Amount };

/** What comes with a wish: how many calls there is use for, and what became of earlier permits. */
export type Asker = {
  most: number;
  spent: Spent[];
  /** Tokens that calls under earlier permits used less than was foreseen; negative: more. */
  tokens: number;
};

/** A call that is permitted. `tokens`: null where nobody counts them. `single`: its permit was for this call alone. */
export type Permitted = { id: string | null; tokens: number | null; single: boolean };

/** What is asked for where nothing is known of the demand: the desk grants one where the limit is small. */
const LEAST = 2;

type Block = Amount & { id: string | null; used: number; until: number };

/**
 * The permits that one isolate has ahead for one lane of a provider: so a provider's object is asked once for many calls.
 * Instants are of the isolate's own clock, from before it asked, so its block ends before the object's.
 */
export class PermitBlocks {
  #block: Block | null = null;
  #spent: Spent[] = [];
  #tokens = 0;
  #most = LEAST;

  /** One call of the block; null: the desk must be asked. */
  take(tokens: number, now: number): Permitted | null {
    const block = this.#block;
    if (block === null || now >= block.until) return null;
    if (block.requests < 1 || block.tokens < tokens) return null;
    block.requests -= 1;
    block.tokens -= tokens;
    block.used += 1;
    return { id: block.id, tokens: block.tokens === Infinity ? null : tokens, single: false };
  }

  /** For the next question to the desk. What was had is told, and forgotten: should the question be lost, it counts as used. */
  asker(): Asker {
    this.#drop();
    const asker = { most: this.#most, spent: this.#spent, tokens: this.#tokens };
    this.#spent = [];
    this.#tokens = 0;
    return asker;
  }

  /** What the desk has granted, of which one call is made now. */
  put({ id, requests, tokens, lifeMs }: Permit, needed: number, askedAt: number): Permitted {
    const block = { id, requests, tokens, used: 0, until: askedAt + lifeMs };
    if (requests > 1) {
      // Two that asked at once: there is use for one block.
      this.#drop();
      this.#block = block;
      block.requests -= 1;
      block.tokens -= needed;
      block.used = 1;
    }
    return { id, tokens: tokens === Infinity ? null : needed, single: requests === 1 };
  }

  /** A permitted call that was not made; of a single one the desk must be told. */
  back({ id, tokens, single }: Permitted): void {
    if (single || this.#block === null || this.#block.id !== id) return;
    this.#block.requests += 1;
    this.#block.tokens += tokens ?? 0;
    this.#block.used -= 1;
  }

  /** To be told with the next question. */
  correct(tokens: number): void {
    this.#tokens += tokens;
  }

  /** Nothing more is to be called without asking. */
  forget(): void {
    this.#drop();
  }

  /** As many again as were used of the last block, and as many more: demand that grows is met in a few steps. */
  #drop(): void {
    if (this.#block === null) return;
    const { id, requests, tokens, used } = this.#block;
    this.#block = null;
    this.#most = Math.max(LEAST, 2 * used);
    if (id !== null) this.#spent.push({ id, rest: { requests, tokens } });
  }
}

import { lineOf, type Line } from "./lane.ts";
import type { Wish, WishKey } from "./permit.ts";
import { Turns, type Turn } from "./turns.ts";

/** The jobs that wait for a permit. To add one that is there changes nothing. */
export interface ParkedJobs {
  add(wish: Wish): void;
  remove(wish: WishKey): void;
  /** The first of a tenant's in a line. */
  first(turn: Turn): Wish | null;
  /** Each line and tenant of whom there is one. */
  turns(): Turn[];
}

/** Those that wait at a provider, and whose turn it is. */
export class Waiting {
  readonly #parked: ParkedJobs;
  readonly #turns = new Turns();

  constructor(parked: ParkedJobs) {
    this.#parked = parked;
    for (const turn of parked.turns()) this.#turns.join(turn);
  }

  /** The lines in which somebody waits, the best first. */
  get lines(): Line[] {
    return this.#turns.lines;
  }

  add(wish: Wish): void {
    this.#parked.add(wish);
    this.#turns.join(turnOf(wish));
  }

  /** Of those in these lines who may have a turn; null: nobody. */
  next(lines: readonly Line[], may: (turn: Turn) => boolean): Wish | null {
    for (;;) {
      const turn = this.#turns.next(lines, may);
      if (turn === null) return null;
      const first = this.#parked.first(turn);
      if (first !== null) return first;
      this.#turns.leave(turn);
    }
  }

  /** It has had its turn. `cost`: as of `Turns`. */
  took(wish: Wish, cost: number): void {
    this.#turns.took(turnOf(wish), cost);
    this.remove(wish);
  }

  /** It waits no more. */
  remove(wish: WishKey): void {
    this.#parked.remove(wish);
    const turn = turnOf(wish);
    if (this.#parked.first(turn) === null) this.#turns.leave(turn);
  }
}

export function turnOf(wish: WishKey): Turn {
  return { line: lineOf(wish), tenant: wish.tenant };
}

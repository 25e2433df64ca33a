import type { Lane } from "./lane.ts";
import type { Wish, WishKey } from "./permit.ts";
import { Turns, type Turn } from "./turns.ts";

/** The jobs that wait for a permit. To add one that is there changes nothing. */
export interface ParkedJobs {
  add(wish: Wish): void;
  remove(wish: WishKey): void;
  /** The first of a tenant's in a lane. */
  first(turn: Turn): Wish | null;
  /** Each lane and tenant of whom there is one. */
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

  /** The lanes in which somebody waits, the best first. */
  get lanes(): Lane[] {
    return this.#turns.lanes;
  }

  add(wish: Wish): void {
    this.#parked.add(wish);
    this.#turns.join(wish);
  }

  /** Of those in these lanes; null: nobody. */
  next(lanes: readonly Lane[]): Wish | null {
    for (;;) {
      const turn = this.#turns.next(lanes);
      if (turn === null) return null;
      const first = this.#parked.first(turn);
      if (first !== null) return first;
      this.#turns.leave(turn);
    }
  }

  /** It has had its turn. `cost`: as of `Turns`. */
  took(wish: Wish, cost: number): void {
    this.#turns.took(wish, cost);
    this.remove(wish);
  }

  /** It waits no more. */
  remove(wish: WishKey): void {
    this.#parked.remove(wish);
    if (this.#parked.first(wish) === null) this.#turns.leave(wish);
  }
}

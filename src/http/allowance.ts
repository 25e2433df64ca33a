/**
 * What may be held here for one client, however many jobs it follows: one page or run of frames, whose turn it is, and so
 * much text that waits for its own.
 */
export class Allowance {
  readonly #maxBacklog: number;
  #backlog = 0;
  #lastTurn: Promise<void> = Promise.resolve();

  /** `maxBacklog`: text that may wait, in characters, before it is left to the logs. */
  constructor(maxBacklog: number) {
    this.#maxBacklog = maxBacklog;
  }

  /** Resolves once all who asked before have ended their turns, with how to end this one. */
  async turn(): Promise<() => void> {
    const before = this.#lastTurn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#lastTurn = promise;
    await before;
    return resolve;
  }

  /** Whether so many characters more may wait. What may is counted until it is released. */
  hold(chars: number): boolean {
    if (this.#backlog > this.#maxBacklog) return false;
    this.#backlog += chars;
    return true;
  }

  release(chars: number): void {
    this.#backlog -= chars;
  }
}

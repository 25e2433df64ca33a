/** What is said twice is said within this: nobody tries for longer. */
const REMEMBERED_MS = 60_000;

/** Tells what is heard for the first time, by its id, from what is said again because its answer was lost. */
export class Once {
  /** In the order in which they were heard. */
  readonly #heard = new Map<string, number>();

  isFirst(id: string, now: number): boolean {
    for (const [other, at] of this.#heard) {
      if (at > now - REMEMBERED_MS) break;
      this.#heard.delete(other);
    }
    if (this.#heard.has(id)) return false;
    this.#heard.set(id, now);
    return true;
  }
}

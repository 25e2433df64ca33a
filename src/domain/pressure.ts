/** Words in a second that an object bears easily: a third of what it answers at most. */
const EASY = 300;

/** With fewer than this nobody need spare it. */
const QUIET = 100;

/** What whoever has to wait waits at least before it is heard again. */
const REST_MS = 500;

const SECOND_MS = 1_000;

/**
 * How many words an object hears in a second, and how long those who would only be told to wait are to keep theirs together. The
 * more words the longer: with ever so many who have something to say it comes to some hundred a second.
 */
export class Pressure {
  #second = 0;
  #words = 0;
  #before = 0;

  heard(now: number): void {
    const second = Math.floor(now / SECOND_MS);
    if (second > this.#second) {
      this.#before = second === this.#second + 1 ? this.#words : 0;
      this.#words = 0;
      this.#second = second;
    }
    this.#words += 1;
  }

  /** Milliseconds; 0: say it at once. */
  restMs(now: number): number {
    const words = this.#perSecond(now);
    return words < QUIET ? 0 : Math.round(REST_MS * Math.max(1, words / EASY));
  }

  /** Of the second that has just passed, in proportion. */
  #perSecond(now: number): number {
    const passed = now / SECOND_MS - this.#second;
    if (passed >= 2) return 0;
    if (passed >= 1) return this.#words * (2 - passed);
    return this.#words + this.#before * (1 - passed);
  }
}

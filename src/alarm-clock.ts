/** How soon an alarm whose work failed comes again. */
const TRY_AGAIN_MS = 5_000;

/**
 * An object's one alarm. It is only ever moved to be earlier: one that fires early finds nothing to do and is set
 * again, which is cheaper than a billed row each time something is due a little later.
 */
export class AlarmClock {
  readonly #storage: DurableObjectStorage;
  #setFor: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** What it was set for before its object lost its memory, so that it is not moved to be later. */
  recall(at: number | null): void {
    if (at !== null) this.#setFor = at;
  }

  /** Makes sure the alarm fires at `at` or before. */
  set(at: number): void {
    if (at === Infinity || (this.#setFor !== undefined && this.#setFor <= at)) return;
    this.#setFor = at;
    // Deliberately not awaited: it belongs to the same atomic write as the object's rows.
    void this.#storage.setAlarm(at);
  }

  /** Its work failed. What was set meanwhile may have been undone with it. */
  tryAgain(now: number): void {
    this.stopped();
    this.set(now + TRY_AGAIN_MS);
  }

  /** It has fired, or was deleted with all else. */
  stopped(): void {
    this.#setFor = undefined;
  }
}

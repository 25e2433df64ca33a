/** The most that a timer can be set to. */
const LONGEST_MS = 2 ** 31 - 1;

/** How long work may take: until its time is up, the caller aborts it, or it is over. Leaves no timer or listener behind. */
export class Limit {
  readonly #caller: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort(this.#caller?.reason);

  constructor(caller: AbortSignal | undefined) {
    this.#caller = caller;
    if (caller?.aborted) this.#abort();
    else caller?.addEventListener("abort", this.#abort);
  }

  /** For what the work does elsewhere. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Rejects with a TimeoutError, or the caller's reason, where the work does not end before; the signal is aborted then. */
  within<T>(ms: number, work: Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    return new Promise<T>((resolve, reject) => {
      const late = new DOMException("It took too long", "TimeoutError");
      const timer = setTimeout(() => this.#controller.abort(late), Math.min(ms, LONGEST_MS));
      const release = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
      };
      const stop = () => {
        release();
        reject(signal.reason as Error);
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop);
      work.then(resolve, reject).then(release, release);
    });
  }

  /** The work is over: what of it still goes on is aborted. */
  end(): void {
    this.#caller?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }
}

/** Rejects with the signal's reason once that is aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const done = () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_MS));
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Somewhere below a bound that doubles, so that those who failed together do not come back together; half of it at least. */
export function backOffMs(baseMs: number, failures: number, ceilingMs: number): number {
  return (0.5 + Math.random() / 2) * Math.min(ceilingMs, baseMs * 2 ** failures);
}

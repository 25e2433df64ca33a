import type { CallError } from "../domain/failure.ts";

type Awaited = Extract<CallError, { kind: "timeout" }>["waitedFor"];

/** The clocks of one call, and the one signal that any of them, or a caller's stop, sets off. */
export class Deadlines {
  /** Which clock ran out; null while none did. */
  expired: Awaited | null = null;
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #whole: ReturnType<typeof setTimeout>;
  #next: ReturnType<typeof setTimeout> | undefined;

  constructor(stop: AbortSignal, wholeMs: number) {
    this.signal = AbortSignal.any([stop, this.#controller.signal]);
    this.#whole = setTimeout(() => this.#expire("whole answer"), wholeMs);
  }

  /** The next sign of life must come within `ms`. Replaces the wait before. */
  within(waitedFor: Awaited, ms: number): void {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.#expire(waitedFor), ms);
  }

  clear(): void {
    clearTimeout(this.#whole);
    clearTimeout(this.#next);
  }

  #expire(waitedFor: Awaited): void {
    this.expired ??= waitedFor;
    this.#controller.abort();
  }
}

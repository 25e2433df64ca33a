import { MAX_PART_CHARS, pulseAt, textAt, type PaceSettings } from "../domain/pace.ts";
import type { Part } from "../domain/command.ts";
import type { Directive } from "../job/job-rpc.ts";

export type RelayPorts = {
  /** Appends to the job. Resolves to its word; never rejects. */
  report: (part: Part) => Promise<Directive>;
  /** Asks for the job's word, and shows it the text that waits. Never rejects. */
  pulse: (waiting: Part) => Promise<Directive>;
  /** Called once when the job says to stop. */
  onStop: () => void;
  now: () => number;
};

/**
 * Passes an attempt's text on to its job in numbered parts, one report at a time, paced by domain/pace.
 * The model is never held up: text that comes while a report is on its way waits for the next.
 */
export class Relay {
  readonly #settings: PaceSettings;
  readonly #ports: RelayPorts;
  readonly #startedAt: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reporting: Promise<void> | null = null;
  #closed = false;
  #watched: boolean;
  #text = "";
  #part = 0;
  #ttftMs: number | null = null;
  #pendingSince: number | null = null;
  #lastTextAt: number | null = null;
  #lastReportAt: number;
  #shown = false;

  constructor(settings: PaceSettings, watched: boolean, ports: RelayPorts) {
    this.#settings = settings;
    this.#watched = watched;
    this.#ports = ports;
    this.#startedAt = this.#lastReportAt = ports.now();
    this.#schedule();
  }

  get ttftMs(): number | null {
    return this.#ttftMs;
  }

  push(text: string): void {
    const now = this.#ports.now();
    this.#ttftMs ??= now - this.#startedAt;
    this.#pendingSince ??= now;
    this.#text += text;
    this.#schedule();
  }

  /** Waits for the report under way and hands back the part that was not sent. The relay is closed then. */
  async close(): Promise<Part> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#reporting;
    while (this.#text.length > MAX_PART_CHARS) await this.#report(this.#text.length);
    return { part: this.#part, text: this.#text, ttftMs: this.#ttftMs };
  }

  #schedule(): void {
    if (this.#closed || this.#reporting !== null) return;
    clearTimeout(this.#timer);
    const at = Math.min(this.#textAt(), pulseAt(this.#state(), this.#settings));
    const wait = at - this.#ports.now();
    if (wait <= 0) this.#start();
    else this.#timer = setTimeout(() => this.#start(), wait);
  }

  #start(): void {
    const due = this.#ports.now() >= this.#textAt();
    const spoken = due ? this.#report(this.#text.length) : this.#pulse();
    this.#reporting = spoken.finally(() => {
      this.#reporting = null;
      this.#schedule();
    });
  }

  /** Sends up to `length` characters. */
  async #report(length: number): Promise<void> {
    this.#lastReportAt = this.#lastTextAt = this.#ports.now();
    this.#shown = true;
    const text = this.#take(Math.min(length, MAX_PART_CHARS));
    const part = { part: this.#part, text, ttftMs: this.#ttftMs };
    if (text !== "") this.#part++;
    this.#heed(await this.#ports.report(part));
  }

  async #pulse(): Promise<void> {
    this.#lastReportAt = this.#ports.now();
    const text = this.#text.slice(0, wholeLength(this.#text, MAX_PART_CHARS));
    this.#shown ||= this.#text !== "";
    this.#heed(await this.#ports.pulse({ part: this.#part, text, ttftMs: this.#ttftMs }));
  }

  #heed({ go, watched }: Directive): void {
    this.#watched = watched;
    if (go || this.#closed) return;
    this.#closed = true;
    this.#ports.onStop();
  }

  #take(length: number): string {
    const end = wholeLength(this.#text, length);
    const text = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    // Half a character alone is nothing to send yet.
    if (this.#text.length <= length - end) this.#pendingSince = null;
    return text;
  }

  #textAt(): number {
    return textAt(this.#state(), this.#settings);
  }

  #state(): Parameters<typeof textAt>[0] {
    return {
      watched: this.#watched,
      pendingSince: this.#pendingSince,
      pendingChars: this.#text.length,
      lastTextAt: this.#lastTextAt,
      lastReportAt: this.#lastReportAt,
      shown: this.#shown,
    };
  }
}

/** At most `length`, and no half characters: one outside the basic plane is two units, and the first waits for the second. */
function wholeLength(text: string, length: number): number {
  const end = Math.min(length, text.length);
  const unit = text.charCodeAt(end - 1);
  return unit >= 0xd8_00 && unit <= 0xdb_ff ? end - 1 : end;
}

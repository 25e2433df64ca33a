/** What an event stream says: a message, or after how many milliseconds to come back. */
export type SseItem =
  | { type: "message"; event: string; data: string }
  | { type: "retry"; ms: number };

/**
 * Reads an event stream, whose pieces may be torn anywhere, in a character or between the two that end a line.
 * Source: WHATWG HTML, 9.2.5 and 9.2.6. Ids are not kept: the events themselves are numbered.
 */
export class SseParser {
  /** Drops a byte order mark at the start, and waits for the rest of a character. */
  readonly #decoder = new TextDecoder();
  #line = "";
  #endedByCr = false;
  #event = "";
  #data: string[] = [];

  /** What these bytes complete. */
  *push(bytes: Uint8Array): Generator<SseItem, void> {
    const text = this.#decoder.decode(bytes, { stream: true });
    let start = 0;
    for (const { 0: end, index } of text.matchAll(/\r\n|\n|\r/g)) {
      // The second half of a CRLF that was torn ends no line.
      const isHalf = index === 0 && end === "\n" && this.#endedByCr;
      if (!isHalf) {
        const item = this.#end(this.#line + text.slice(start, index));
        this.#line = "";
        if (item !== null) yield item;
      }
      start = index + end.length;
    }
    this.#line += text.slice(start);
    if (text !== "") this.#endedByCr = text.endsWith("\r");
  }

  #end(line: string): SseItem | null {
    if (line === "") return this.#dispatch();
    const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "data") this.#data.push(value);
    if (name === "event") this.#event = value;
    return name === "retry" && /^\d+$/.test(value) ? { type: "retry", ms: Number(value) } : null;
  }

  #dispatch(): SseItem | null {
    const [event, data] = [this.#event, this.#data];
    this.#event = "";
    this.#data = [];
    return data.length === 0 ? null : { type: "message", event, data: data.join("\n") };
  }
}

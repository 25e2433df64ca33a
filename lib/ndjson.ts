/** Reads lines of JSON, whose pieces may be torn anywhere, in a character too. Source: github.com/ndjson/ndjson-spec */
export class LineParser {
  /** Waits for the rest of a character. */
  readonly #decoder = new TextDecoder();
  #line = "";

  /** The lines that these bytes complete. */
  push(bytes: Uint8Array): string[] {
    const [first = "", ...others] = this.#decoder.decode(bytes, { stream: true }).split("\n");
    // Appended, not searched again: a line may be megabytes and come in many pieces.
    this.#line += first;
    const lines: string[] = [];
    for (const piece of others) {
      lines.push(this.#line);
      this.#line = piece;
    }
    return lines.filter((line) => line.trim() !== "");
  }

  /** Whether what has come so far ends with a line's end. */
  get isWhole(): boolean {
    return this.#line.trim() === "";
  }
}

import { Buffer } from "node:buffer";

/** So many characters of a secret in a row are a leak of it. */
const PIECE = 12;

/** Secrets that may be told to nobody: planted where they belong, and looked for where they do not. */
export class Canaries {
  /** Every piece of every spelling of a secret, and which it is. */
  readonly #pieces = new Map<string, string>();
  readonly #names = new Set<string>();

  /** A new secret: long, random, and of characters that JSON and URLs spell otherwise too. For keys: `plain`. */
  plant(name: string, { plain = false } = {}): string {
    const secret = plain ? `${random()}${random()}` : `${random()}"é/${random()}\\&+${random()}`;
    this.watch(name, secret);
    return secret;
  }

  /** The same with a secret that somebody else has made. */
  watch(name: string, secret: string): void {
    this.#names.add(name);
    for (const spelling of spellingsOf(secret)) {
      for (let at = 0; at + PIECE <= spelling.length; at++) {
        this.#pieces.set(spelling.slice(at, at + PIECE), name);
      }
    }
  }

  /** The names of all there are. */
  get names(): string[] {
    return [...this.#names];
  }

  /** Whose pieces a text holds. */
  in(text: string): string[] {
    const found = new Set<string>();
    for (let at = 0; at + PIECE <= text.length; at++) {
      const name = this.#pieces.get(text.slice(at, at + PIECE));
      if (name !== undefined) found.add(name);
    }
    return [...found];
  }

  /** The texts that hold any, each with whose, for a message that says what has leaked. */
  leaks(texts: readonly string[]): { found: string[]; text: string }[] {
    return texts.flatMap((text) => {
      const found = this.in(text);
      return found.length === 0 ? [] : [{ found, text }];
    });
  }
}

function random(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** A text as it is, and as JSON (once, and once more inside JSON), URLs and base64 write it. */
function spellingsOf(secret: string): string[] {
  const inJson = JSON.stringify(secret).slice(1, -1);
  const twice = JSON.stringify(inJson).slice(1, -1);
  const bytes = Buffer.from(secret);
  const encoded = [0, 1, 2].flatMap((before) => {
    // What stands before and behind it in the same group of bytes spells the edges otherwise.
    const group = Buffer.concat([Buffer.alloc(before), bytes]);
    const whole = group.subarray(0, group.length - (group.length % 3));
    return (["base64", "base64url"] as const).map((encoding) => {
      return whole.toString(encoding).slice(before === 0 ? 0 : 4);
    });
  });
  const form = new URLSearchParams({ secret }).toString().slice("secret=".length);
  const hex = bytes.toString("hex");
  return [
    secret,
    inJson,
    twice,
    encodeURI(secret),
    encodeURIComponent(secret),
    form,
    hex,
    ...encoded,
  ];
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { keyringOf } from "../../src/secrets/keyring.ts";
import { isCurrent, open, seal, type Seal } from "../../src/secrets/vault.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const NEW_KEY = "another-root-canary-0123456789-0123456789";
const CONFIG = parseConfig({ SIGNING_KEY });
const ROTATED = parseConfig({ SIGNING_KEY: NEW_KEY, PREVIOUS_SIGNING_KEY: SIGNING_KEY });
const DONE = parseConfig({ SIGNING_KEY: NEW_KEY });

const AS: Seal = { purpose: "webhook-secret", owner: "acme" };
const SECRET = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

describe("what is sealed", () => {
  it("opens as it was, whatever text it is", async () => {
    const texts = fc.string({ unit: "binary", maxLength: 300 });
    const property = fc.asyncProperty(texts, fc.string(), async (text, owner) => {
      const as = { ...AS, owner };
      expect(await open(CONFIG, as, await seal(CONFIG, as, text))).toBe(text);
    });
    await fc.assert(property);
  });

  it.each(["", "\u{feff}begins with a mark", "Grüße, 世界 🌍", "\0", "a".repeat(8_192)])(
    "opens as it was: %j",
    async (text) => {
      expect(await open(CONFIG, AS, await seal(CONFIG, AS, text))).toBe(text);
    },
  );

  it("says its version and its root, and nothing of the text; twice it is not the same", async () => {
    const [one, other] = [await seal(CONFIG, AS, SECRET), await seal(CONFIG, AS, SECRET)];
    expect(one).toMatch(/^v1\.[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]+$/);
    expect(one).not.toContain(SECRET);
    expect(one.split(".").slice(0, 2)).toEqual(other.split(".").slice(0, 2));
    expect(one.split(".")[2]).not.toBe(other.split(".")[2]);
  });

  it.each<[string, Seal]>([
    ["another tenant", { ...AS, owner: "other" }],
    ["no tenant", { ...AS, owner: "" }],
    ["a tenant whose name begins the same", { ...AS, owner: "acme\0" }],
    ["another purpose", { ...AS, purpose: "callback-headers" }],
  ])("does not open for %s", async (_, as) => {
    expect(await open(CONFIG, as, await seal(CONFIG, AS, SECRET))).toBeNull();
  });

  it("does not open with any one of its characters changed", async () => {
    const sealed = await seal(CONFIG, AS, SECRET);
    const characters = fc.constantFrom(..."ABab01-_.+/= \n\u{e9}".split(""));
    const at = fc.nat({ max: sealed.length - 1 });
    const property = fc.asyncProperty(at, characters, async (place, character) => {
      fc.pre(sealed[place] !== character);
      const altered = sealed.slice(0, place) + character + sealed.slice(place + 1);
      expect(await open(CONFIG, AS, altered)).toBeNull();
    });
    await fc.assert(property, { numRuns: 500 });
  });

  it("does not open with the bits set that its last character has to spare", async () => {
    // 12 bytes of nonce, 16 of tag: 28 bytes leave four bits of the last character unused.
    const sealed = await seal(CONFIG, AS, "");
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const others = alphabet.split("").filter((character) => character !== sealed.at(-1));
    for (const character of others) {
      expect(await open(CONFIG, AS, sealed.slice(0, -1) + character)).toBeNull();
    }
  });

  it("does not open cut short, drawn out, or joined", async () => {
    const sealed = await seal(CONFIG, AS, SECRET);
    for (let length = 0; length < sealed.length; length++) {
      expect(await open(CONFIG, AS, sealed.slice(0, length))).toBeNull();
    }
    for (const more of ["A", "=", "\n", ".", sealed]) {
      expect(await open(CONFIG, AS, sealed + more)).toBeNull();
    }
  });

  it("is told from what never was", async () => {
    const { current } = await keyringOf(CONFIG);
    const inputs = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string().map((text) => `v1.${current.id}.${text}`),
    );
    const property = fc.asyncProperty(inputs, async (input) => {
      expect(await open(CONFIG, AS, input)).toBeNull();
    });
    await fc.assert(property, { numRuns: 500 });
  });
});

describe("when the root is replaced", () => {
  it("what was sealed under the one before still opens, and is seen to be of it", async () => {
    const sealed = await seal(CONFIG, AS, SECRET);
    expect(await open(ROTATED, AS, sealed)).toBe(SECRET);
    expect(await isCurrent(CONFIG, sealed)).toBe(true);
    expect(await isCurrent(ROTATED, sealed)).toBe(false);
  });

  it("what is new is sealed under the new one, and needs no other", async () => {
    const sealed = await seal(ROTATED, AS, SECRET);
    expect(await isCurrent(ROTATED, sealed)).toBe(true);
    expect(await open(DONE, AS, sealed)).toBe(SECRET);
    expect(await open(CONFIG, AS, sealed)).toBeNull();
  });

  it("without the one before, what was sealed under it is lost", async () => {
    expect(await open(DONE, AS, await seal(CONFIG, AS, SECRET))).toBeNull();
  });

  it("what is said to be another root's does not open", async () => {
    const { current } = await keyringOf(ROTATED);
    const [version, , data] = (await seal(CONFIG, AS, SECRET)).split(".");
    expect(await open(ROTATED, AS, `${version}.${current.id}.${data}`)).toBeNull();
  });
});

describe("a root's keys", () => {
  it("are made once, and cannot be read", async () => {
    const { current } = await keyringOf(CONFIG);
    expect(await keyringOf(CONFIG)).toBe(await keyringOf(CONFIG));
    const key = await current.key("seal", "a");
    expect(await current.key("seal", "a")).toBe(key);
    expect(key.extractable).toBe(false);
  });

  it("have an id that the same root always has, and no other", async () => {
    const ids = [CONFIG, parseConfig({ SIGNING_KEY }), DONE].map(
      async (config) => (await keyringOf(config)).current.id,
    );
    const [one, same, other] = await Promise.all(ids);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    expect((await keyringOf(ROTATED)).previous?.id).toBe(one);
  });

  it("sign for their purpose and for no other", async () => {
    const { current } = await keyringOf(CONFIG);
    const text = new TextEncoder().encode("signed");
    const key = await current.key("sign", "a");
    const signature = await crypto.subtle.sign("HMAC", key, text);
    expect(await crypto.subtle.verify("HMAC", key, signature, text)).toBe(true);
    const other = await current.key("sign", "b");
    expect(await crypto.subtle.verify("HMAC", other, signature, text)).toBe(false);
  });
});

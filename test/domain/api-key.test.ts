import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { base62, formatApiKey, parseApiKey } from "../../src/domain/api-key.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const BASE62 = `0123456789${LETTERS.toUpperCase()}${LETTERS}`;
const letters = (of: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...of.split("")), minLength, maxLength });

const environments = fc.constantFrom("live" as const, "test" as const);
const tenants = fc
  .tuple(letters(`0123456789${LETTERS}`, 1, 1), letters(`0123456789${LETTERS}-`, 0, 38))
  .map((parts) => parts.join(""));
const keys = fc
  .record({
    environment: environments,
    tenant: tenants,
    random: letters(BASE62, 6, 6),
    secret: letters(BASE62, 32, 32),
  })
  .map(({ environment, tenant, random, secret }) => {
    const keyId = `${tenant}-${random}`;
    return { environment, tenant, keyId, key: formatApiKey(environment, keyId, secret) };
  });

describe("a key", () => {
  it("says of which deployment and tenant it is, and its id", () => {
    fc.assert(
      fc.property(keys, ({ key, ...said }) => {
        expect(parseApiKey(key)).toEqual(said);
      }),
    );
  });

  it("looks as it was promised to whoever scans for secrets", () => {
    const key = formatApiKey("live", "acme-k3Jd9f", "0".repeat(32));
    expect(key).toMatch(/^aw_live_acme-k3Jd9f_0{32}[0-9A-Za-z]{6}$/);
    // Python's zlib.crc32 of what is before it, in base62.
    expect(key.slice(-6)).toBe("2CG2bE");
  });

  it("is refused when any one character of it is another, or is gone, or is twice there", () => {
    const others = letters(`${BASE62}-_ .\u00e9`, 1, 1);
    fc.assert(
      fc.property(keys, fc.nat(), others, ({ key }, place, other) => {
        const at = place % key.length;
        const [before, after] = [key.slice(0, at), key.slice(at + 1)];
        fc.pre(key[at] !== other);
        expect(parseApiKey(before + other + after)).toBeNull();
        expect(parseApiKey(key.slice(0, -1))).toBeNull();
        expect(parseApiKey(`${key}${other}`)).toBeNull();
        expect(parseApiKey(before + key[at] + key[at] + after)).toBeNull();
      }),
      { numRuns: 1_000 },
    );
  });

  it("is refused when two of its neighbours have changed places", () => {
    fc.assert(
      fc.property(keys, fc.nat(), ({ key }, place) => {
        const at = place % (key.length - 1);
        const [one = "", two = ""] = [key[at], key[at + 1]];
        fc.pre(one !== two);
        expect(parseApiKey(key.slice(0, at) + two + one + key.slice(at + 2))).toBeNull();
      }),
    );
  });

  it.each([
    ["of a tenant whose name is too long", `${"a".repeat(40)}-k3Jd9f`],
    ["of a tenant without a name", "-k3Jd9f"],
    ["of a tenant that begins with a hyphen", "-a-k3Jd9f"],
    ["of a tenant in capitals", "Acme-k3Jd9f"],
    ["without a tenant", "k3Jd9f"],
    ["with a short id", "acme-k3Jd9"],
  ])("%s is none", (_, keyId) => {
    expect(parseApiKey(formatApiKey("live", keyId, "0".repeat(32)))).toBeNull();
  });

  it("is refused at once when it is long", () => {
    expect(parseApiKey(`aw_live_${"a-".repeat(1_000_000)}`)).toBeNull();
  });
});

describe("the digits of base62", () => {
  it("are equally likely: of a fair byte each comes four times, and the rest give none", () => {
    const digits = base62(Uint8Array.from({ length: 256 }, (_, byte) => byte));
    expect(digits).toHaveLength(248);
    for (const digit of BASE62) expect(digits.split(digit)).toHaveLength(5);
  });
});

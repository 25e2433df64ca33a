import fc from "fast-check";

const DOTS = [".", "。", "．", "｡", "%2e", "%2E"] as const;
const RADIXES = [
  (part: number) => part.toString(10),
  (part: number) => `0${part.toString(8)}`,
  (part: number) => `000${part.toString(8)}`,
  (part: number) => `0x${part.toString(16)}`,
  (part: number) => `0X00${part.toString(16).toUpperCase()}`,
] as const;
const DIGITS = [
  (digit: string) => digit,
  (digit: string) => String.fromCodePoint(0xff_10 + Number(digit)),
  (digit: string) => `%3${digit}`,
] as const;

/** One IPv4 address in any of the ways a URL may spell it. */
export const ipv4Spelling: fc.Arbitrary<string> = fc
  .record({
    address: fc.integer({ min: 0, max: 0xff_ff_ff_ff }),
    parts: fc.integer({ min: 1, max: 4 }),
    radixes: fc.array(fc.constantFrom(...RADIXES), { minLength: 4, maxLength: 4 }),
    dots: fc.array(fc.constantFrom(...DOTS), { minLength: 4, maxLength: 4 }),
    digit: fc.constantFrom(...DIGITS),
    rooted: fc.boolean(),
  })
  .map(({ address, parts, radixes, dots, digit, rooted }) => {
    const bytes = [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff);
    const leading = bytes.slice(0, parts - 1);
    // The last part stands for all bytes that have none of their own.
    const last = bytes.slice(parts - 1).reduce((sum, byte) => sum * 256 + byte, 0);
    const spelt = [...leading, last].map((part, at) => {
      const text = (radixes[at] ?? String)(part).replaceAll(/\d/g, digit);
      return at < parts - 1 || rooted ? `${text}${dots[at]}` : text;
    });
    return spelt.join("");
  });

const PUBLIC_SUFFIXES = ["com", "dev", "io", "app", "co.uk", "workers.dev", "xn--p1ai", "com."];

const label = fc
  .stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
  .filter((text) => !text.startsWith("xn--"));

/** A host name below a suffix anybody may have names under; its case is anyhow. */
export const publicName: fc.Arbitrary<string> = fc
  .record({
    labels: fc.array(label, { minLength: 1, maxLength: 4 }),
    suffix: fc.constantFrom(...PUBLIC_SUFFIXES),
    loud: fc.boolean(),
  })
  .map(({ labels, suffix, loud }) => {
    const name = [...labels, suffix].join(".");
    return loud ? name.toUpperCase() : name;
  });

/** Anything at all, and much that looks like the beginning of an address. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 3_000 }),
  fc.string({ unit: "binary" }).map((text) => `https://${text}`),
  fc.string({ unit: "binary" }).map((text) => `https://example.com${text}`),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
);

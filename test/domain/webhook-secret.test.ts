import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  MAX_SECRETS,
  resealed,
  rotated,
  validSecrets,
  type KeptSecret,
} from "../../src/domain/webhook-secret.ts";

const NOW = 1_000_000;
const DAY = 86_400_000;

const secret = (sealed: string, validUntil: number | null = null): KeptSecret => ({
  sealed,
  validUntil,
});

describe("a rotation", () => {
  it.each<[string, KeptSecret[], number, KeptSecret[]]>([
    ["of none is the first", [], DAY, [secret("new")]],
    [
      "lets the one before be for the overlap",
      [secret("a")],
      DAY,
      [secret("new"), secret("a", NOW + DAY)],
    ],
    ["without overlap ends it at once", [secret("a")], 0, [secret("new")]],
    [
      "gives no time to those that were to end sooner",
      [secret("b"), secret("a", NOW + 1)],
      DAY,
      [secret("new"), secret("b", NOW + DAY), secret("a", NOW + 1)],
    ],
    [
      "takes time from those that were to end later",
      [secret("b"), secret("a", NOW + DAY)],
      1_000,
      [secret("new"), secret("b", NOW + 1_000), secret("a", NOW + 1_000)],
    ],
    [
      "forgets those whose time is over",
      [secret("b"), secret("a", NOW)],
      DAY,
      [secret("new"), secret("b", NOW + DAY)],
    ],
    [
      "lets the oldest go where there are too many",
      [secret("e"), ...["d", "c", "b", "a"].map((name) => secret(name, NOW + DAY))],
      DAY,
      [secret("new"), ...["e", "d", "c", "b"].map((name) => secret(name, NOW + DAY))],
    ],
  ])("%s", (_, kept, overlapMs, expected) => {
    expect(rotated(kept, "new", overlapMs, NOW)).toEqual(expected);
  });

  it("keeps one in use, the newest; no other outlives its overlap or its time, nor one that is newer", () => {
    const steps = fc.array(fc.record({ overlap: fc.nat(10), later: fc.nat(10) }), {
      maxLength: 20,
    });
    const property = fc.property(steps, (rotations) => {
      let kept: KeptSecret[] = [];
      let now = 0;
      for (const [at, { overlap, later }] of rotations.entries()) {
        now += later;
        const before = new Map(kept.map(({ sealed, validUntil }) => [sealed, validUntil]));
        kept = rotated(kept, `s${at}`, overlap, now);
        const [newest, ...others] = kept;
        expect(newest).toEqual(secret(`s${at}`));
        expect(kept.length).toBeLessThanOrEqual(MAX_SECRETS);
        expect(validSecrets(kept, now)).toEqual(kept);
        const ends = others.map(({ validUntil }) => validUntil ?? Infinity);
        expect(ends).toEqual(ends.toSorted((a, b) => b - a));
        for (const { sealed, validUntil } of others) {
          expect(validUntil).toBeLessThanOrEqual(now + overlap);
          expect(validUntil).toBeLessThanOrEqual(before.get(sealed) ?? Infinity);
        }
      }
    });
    fc.assert(property);
  });
});

describe("a secret is valid", () => {
  it.each([
    [null, true],
    [NOW + 1, true],
    [NOW, false],
    [NOW - 1, false],
  ])("that is so until %j: %j", (validUntil, valid) => {
    expect(validSecrets([secret("a", validUntil)], NOW)).toHaveLength(valid ? 1 : 0);
  });
});

describe("secrets that are sealed anew", () => {
  it("keep their places and times, and the others are as they were", () => {
    const kept = [secret("a"), secret("b", NOW + 1)];
    const changes = new Map([
      ["b", "b2"],
      ["gone meanwhile", "x"],
    ]);
    expect(resealed(kept, changes)).toEqual([secret("a"), secret("b2", NOW + 1)]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { keyringOf } from "../../src/secrets/keyring.ts";
import { issueToken, readToken } from "../../src/secrets/subscribe-token.ts";

const ROOT = "the-first-root-0123456789-0123456789";
const NEXT = "the-second-root-0123456789-0123456789";
const NOW = Date.parse("2026-11-01T12:00:00.000Z");
const GRANT = { tenant: "acme", jobId: "test-123", expiresAt: NOW + 900_000 };

function configOf(SIGNING_KEY: string, PREVIOUS_SIGNING_KEY?: string) {
  const previous = PREVIOUS_SIGNING_KEY === undefined ? {} : { PREVIOUS_SIGNING_KEY };
  return parseConfig({ AUTH_MODE: "keys", SIGNING_KEY, ...previous });
}

const config = configOf(ROOT);

/** What the key of this purpose says of these words: a token of our own making, but for what it is for. */
async function signed(words: string, purpose: string): Promise<string> {
  const { current } = await keyringOf(config);
  const head = `${current.id}.${Buffer.from(words).toString("base64url")}`;
  const key = await current.key("sign", purpose);
  const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(head));
  return `${head}.${Buffer.from(mac).toString("base64url")}`;
}

describe("a subscribe token", () => {
  it("grants what it was issued for, and fits a URL and a subprotocol", async () => {
    const token = await issueToken(config, GRANT);
    expect(token).toMatch(/^[A-Za-z0-9_.-]+$/);
    expect(await readToken(config, token, NOW)).toEqual(GRANT);
  });

  it("grants it for every tenant and every job's id", async () => {
    const tenant = fc.stringMatching(/^[a-z0-9-]{1,64}$/);
    const jobId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    await fc.assert(
      fc.asyncProperty(tenant, jobId, async (tenant, jobId) => {
        const grant = { ...GRANT, tenant, jobId };
        expect(await readToken(config, await issueToken(config, grant), NOW)).toEqual(grant);
      }),
    );
  });

  it("is kept to the second, and expires to the millisecond of it", async () => {
    const token = await issueToken(config, { ...GRANT, expiresAt: NOW + 1_999 });
    expect(await readToken(config, token, NOW + 999)).toMatchObject({ expiresAt: NOW + 1_000 });
    expect(await readToken(config, token, NOW + 1_000)).toBeNull();
    expect(await readToken(config, token, Infinity)).toBeNull();
  });

  it("grants nothing once any character of it is another", async () => {
    const token = await issueToken(config, GRANT);
    for (let at = 0; at < token.length; at++) {
      for (const other of ["A", "Z", "a", "z", "0", "9", "_", "-", ".", "=", " ", "é", ""]) {
        const altered = `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
        if (altered === token) continue;
        expect([altered, await readToken(config, altered, NOW)]).toEqual([altered, null]);
      }
    }
  });

  it("has one spelling only: its last character says no bit in vain", async () => {
    const token = await issueToken(config, GRANT);
    const spellings = await Promise.all(
      Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", (last) =>
        readToken(config, `${token.slice(0, -1)}${last}`, NOW),
      ),
    );
    expect(spellings.filter((grant) => grant !== null)).toHaveLength(1);
  });

  it("grants nothing in another's words or with another's signature", async () => {
    const mine = (await issueToken(config, GRANT)).split(".");
    const others = (await issueToken(config, { ...GRANT, jobId: "test-124" })).split(".");
    expect(await readToken(config, [mine[0], others[1], mine[2]].join("."), NOW)).toBeNull();
    expect(await readToken(config, [mine[0], mine[1], others[2]].join("."), NOW)).toBeNull();
  });

  it("of another root grants nothing, of the root before it does", async () => {
    const token = await issueToken(config, GRANT);
    expect(await readToken(configOf(NEXT), token, NOW)).toBeNull();
    expect(await readToken(configOf(NEXT, ROOT), token, NOW)).toEqual(GRANT);
    expect(await issueToken(configOf(NEXT, ROOT), GRANT)).not.toBe(token);
  });

  it("is what this purpose's key has signed, and no other's", async () => {
    const words = JSON.stringify(["acme", "test-123", GRANT.expiresAt / 1_000]);
    expect(await signed(words, "subscribe-token")).toBe(await issueToken(config, GRANT));
    for (const purpose of ["webhook-secret", "subscribe-tokens", ""]) {
      expect(await readToken(config, await signed(words, purpose), NOW)).toBeNull();
    }
  });

  it("may be anything", async () => {
    const { current } = await keyringOf(config);
    const word = fc.stringMatching(/^[A-Za-z0-9_.=-]{0,80}$/);
    const near = word.map((word) => `${current.id}.${word}.${"A".repeat(43)}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), word, near), async (token) => {
        expect(await readToken(config, token, NOW)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });
});

import { encodeBase64Url } from "hono/utils/encode";

import type { Config } from "../settings/config.ts";

/** What a key of ours is good for: to seal a text and open it, or to sign one and verify it. */
export type KeyUse = "seal" | "sign";

/** A secret that keys are derived from. */
export type Root = {
  /** Eight characters of base64url. Tells roots apart and nothing of what they are. */
  id: string;
  /** The key of this use and purpose. It can be used, and never be read. */
  key: (use: KeyUse, purpose: string) => Promise<CryptoKey>;
};

/** The current root, which all that is new is made with, and the one before it where there is one. */
export type Keyring = { current: Root; previous: Root | null };

const ID_BITS = 48;

const ALGORITHMS = {
  seal: { algorithm: { name: "AES-GCM", length: 256 }, usages: ["encrypt", "decrypt"] },
  sign: {
    algorithm: { name: "HMAC", hash: "SHA-256", length: 256 },
    usages: ["sign", "verify"],
  },
} as const satisfies Record<KeyUse, object>;

const keyrings = new WeakMap<Config, Keyring>();

/** The keyring of these settings, made once. */
export async function keyringOf(config: Config): Promise<Keyring> {
  const known = keyrings.get(config);
  if (known !== undefined) return known;
  const { SIGNING_KEY, PREVIOUS_SIGNING_KEY } = config;
  const current = await rootOf(SIGNING_KEY);
  const previous = PREVIOUS_SIGNING_KEY === undefined ? null : await rootOf(PREVIOUS_SIGNING_KEY);
  const keyring = { current, previous };
  keyrings.set(config, keyring);
  return keyring;
}

/** The root that this id names, or null. */
export function rootNamed({ current, previous }: Keyring, id: string): Root | null {
  if (id === current.id) return current;
  return id === previous?.id ? previous : null;
}

async function rootOf(secret: string): Promise<Root> {
  const base = await crypto.subtle.importKey("raw", encoded(secret), "HKDF", false, [
    "deriveKey",
    "deriveBits",
  ]);
  const id = await crypto.subtle.deriveBits(derivation("id"), base, ID_BITS);
  // Keys and no promises of them: a request that ends early would leave others waiting for what it began.
  const keys = new Map<string, CryptoKey>();
  return {
    id: encodeBase64Url(id),
    key: async (use, purpose) => {
      const name = `${use}/${purpose}`;
      const known = keys.get(name);
      if (known !== undefined) return known;
      const { algorithm, usages } = ALGORITHMS[use];
      const info = derivation(name);
      const key = await crypto.subtle.deriveKey(info, base, algorithm, false, [...usages]);
      keys.set(name, key);
      return key;
    },
  };
}

/** RFC 5869. No salt: the root is random itself. What differs in `info` has nothing else in common. */
function derivation(info: string) {
  return {
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(0),
    info: encoded(`afterword/v1/${info}`),
  };
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

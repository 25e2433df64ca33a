import { decodeBase64Url } from "hono/utils/encode";

import { base64Url } from "./base64-url.ts";
import type { Config } from "../settings/config.ts";
import { keyringOf, rootNamed } from "./keyring.ts";

/** What a sealed text is and whose: it opens for this purpose and owner alone. */
export type Seal = {
  purpose: "webhook-secret" | "callback-headers" | "step-headers";
  owner: string;
};

/** `v1.<id of the root>.<base64url of the nonce and the ciphertext>`. */
const SEALED = /^v1\.([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]+)$/;

/** Random, so at most 2^32 texts of one purpose under one root. Source: NIST SP 800-38D, 8.3. */
const NONCE_BYTES = 12;

/**
 * Seals a small text for storage: AES-256-GCM under the purpose's key, bound to its owner. Sealed twice, it looks
 * different. A lone surrogate does not come back as it was: it has no UTF-8.
 */
export async function seal(config: Config, as: Seal, text: string): Promise<string> {
  const { current } = await keyringOf(config);
  const key = await current.key("seal", as.purpose);
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(cipher(iv, as), key, new TextEncoder().encode(text));
  const bytes = new Uint8Array(NONCE_BYTES + sealed.byteLength);
  bytes.set(iv);
  bytes.set(new Uint8Array(sealed), NONCE_BYTES);
  return `v1.${current.id}.${base64Url(bytes)}`;
}

/**
 * The text that was sealed under the current root or the one before, or null: another purpose's or owner's, sealed under a
 * root that is not known, altered, or none at all. Never throws.
 */
export async function open(config: Config, as: Seal, sealed: string): Promise<string | null> {
  const [, id = "", data = ""] = SEALED.exec(sealed) ?? [];
  const root = rootNamed(await keyringOf(config), id);
  if (root === null) return null;
  try {
    const bytes = decodeBase64Url(data);
    // Characters may hold bits that no byte is made of; with those changed it is not what was sealed.
    if (base64Url(bytes) !== data) return null;
    const iv = bytes.subarray(0, NONCE_BYTES);
    const key = await root.key("seal", as.purpose);
    const text = await crypto.subtle.decrypt(cipher(iv, as), key, bytes.subarray(NONCE_BYTES));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    return null;
  }
}

/** Whether it is sealed under the current root, and so outlives the one before. */
export async function isCurrent(config: Config, sealed: string): Promise<boolean> {
  const { current } = await keyringOf(config);
  return sealed.startsWith(`v1.${current.id}.`);
}

function cipher(iv: Uint8Array, { purpose, owner }: Seal) {
  const additionalData = new TextEncoder().encode(`v1\0${purpose}\0${owner}`);
  return { name: "AES-GCM", iv, additionalData };
}

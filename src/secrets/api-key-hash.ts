import { decodeBase64Url } from "hono/utils/encode";

import { base64Url } from "./base64-url.ts";
import type { Config } from "../settings/config.ts";
import { base62, formatApiKey, KEY_ID_LENGTH, SECRET_LENGTH } from "../domain/api-key.ts";
import { keyringOf, rootNamed, type Root } from "./keyring.ts";

const PURPOSE = "api-key";

/** `v1.<id of the root>.<base64url of the key's HMAC-SHA256>`. */
const HASH = /^v1\.([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]{43})$/;

/** What a key that is not known is compared with. */
const NOBODY = new Uint8Array(32);

/** A key that has just been made: its text, to be shown once, and what is kept of it. */
export type MadeKey = { id: string; key: string; hash: string };

export async function makeApiKey(config: Config, tenant: string): Promise<MadeKey> {
  const id = `${tenant}-${randomBase62(KEY_ID_LENGTH)}`;
  const key = formatApiKey(config.KEY_ENVIRONMENT, id, randomBase62(SECRET_LENGTH));
  return { id, key, hash: await hashOf(config, key) };
}

/** What is kept of a key: whoever has it, and not the root, can neither use it nor test guesses against it. */
export async function hashOf(config: Config, key: string): Promise<string> {
  const { current } = await keyringOf(config);
  return `v1.${current.id}.${base64Url(await digestOf(current, key))}`;
}

/**
 * Whether this is the key that the hash was made of, under the current root or the one before.
 *
 * Null is the hash of nobody: it takes the same work and the same time, so that whoever tries keys learns nothing of ids.
 */
export async function isKeyOf(config: Config, key: string, hash: string | null): Promise<boolean> {
  const [, rootId = "", kept = ""] = HASH.exec(hash ?? "") ?? [];
  const keyring = await keyringOf(config);
  const root = rootNamed(keyring, rootId);
  const digest = await digestOf(root ?? keyring.current, key);
  const expected = root === null ? NOBODY : decodeBase64Url(kept);
  return crypto.subtle.timingSafeEqual(digest, expected) && root !== null;
}

/** Whether it is made under the current root, and so outlives the one before. */
export async function isCurrentHash(config: Config, hash: string): Promise<boolean> {
  const { current } = await keyringOf(config);
  return hash.startsWith(`v1.${current.id}.`);
}

async function digestOf(root: Root, key: string): Promise<ArrayBuffer> {
  const signing = await root.key("sign", PURPOSE);
  return crypto.subtle.sign("HMAC", signing, new TextEncoder().encode(key));
}

function randomBase62(length: number): string {
  let text = "";
  while (text.length < length) text += base62(crypto.getRandomValues(new Uint8Array(length)));
  return text.slice(0, length);
}

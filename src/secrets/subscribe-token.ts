import { decodeBase64Url } from "hono/utils/encode";
import { z } from "zod";

import { base64Url } from "./base64-url.ts";
import type { Config } from "../settings/config.ts";
import { keyringOf, rootNamed } from "./keyring.ts";

/** What a token lets its bearer do: read one job of one tenant, until then (epoch seconds). */
const Grant = z.tuple([z.string(), z.string(), z.number().int()]);
export type SubscribeGrant = { tenant: string; jobId: string; expiresAt: number };

const PURPOSE = "subscribe-token";

/** `<id of the root>.<base64url of the grant>.<base64url of its HMAC-SHA256>`: fits a URL and a WebSocket subprotocol. */
const TOKEN = /^([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]{1,512})\.([A-Za-z0-9_-]{43})$/;

/** A token for a browser, which can hold no API key. `expiresAt`: epoch milliseconds, kept to the second. */
export async function issueToken(config: Config, grant: SubscribeGrant): Promise<string> {
  const { current } = await keyringOf(config);
  const { tenant, jobId, expiresAt } = grant;
  const words = JSON.stringify([tenant, jobId, Math.floor(expiresAt / 1_000)]);
  const head = `${current.id}.${base64Url(new TextEncoder().encode(words))}`;
  const key = await current.key("sign", PURPOSE);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(head));
  return `${head}.${base64Url(signature)}`;
}

/** What a token grants at this time; null if nothing: expired, altered, or never ours. Never throws. */
export async function readToken(
  config: Config,
  token: string,
  now: number,
): Promise<SubscribeGrant | null> {
  const [, rootId = "", words = "", signature = ""] = TOKEN.exec(token) ?? [];
  const root = rootNamed(await keyringOf(config), rootId);
  if (root === null) return null;
  const signed = new TextEncoder().encode(`${rootId}.${words}`);
  const key = await root.key("sign", PURPOSE);
  const mac = bytesOf(signature);
  // Two bits of the last character say nothing: with others it would be another token, and as good.
  if (base64Url(mac) !== signature) return null;
  // Compares in constant time.
  if (!(await crypto.subtle.verify("HMAC", key, mac, signed))) return null;
  const [tenant, jobId, seconds] = Grant.parse(
    JSON.parse(new TextDecoder().decode(bytesOf(words))),
  );
  const expiresAt = seconds * 1_000;
  return now < expiresAt ? { tenant, jobId, expiresAt } : null;
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(decodeBase64Url(text));
}

/** `test` keys are of deployments that nothing real depends on. Neither opens the other's. */
export type KeyEnvironment = "live" | "test";

/** What a key says of itself before anything is looked up. */
export type ApiKey = { environment: KeyEnvironment; tenant: string; keyId: string };

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 190 bits, so the hash that is kept of it need not be slow. */
export const SECRET_LENGTH = 32;
export const KEY_ID_LENGTH = 6;

/** Enough digits for 32 bits. */
const CHECKSUM_LENGTH = 6;

/** No longer than a key of the longest tenant's. */
const MAX_LENGTH = 93;

/** A key's id begins with its tenant's name: read from the right it is found, and no index is needed to find its record. */
const KEY =
  /^aw_(live|test)_(([a-z0-9][a-z0-9-]{0,38})-[0-9A-Za-z]{6})_[0-9A-Za-z]{32}([0-9A-Za-z]{6})$/;

/**
 * `aw_<live|test>_<key id>_<secret><checksum>`, where the key id is `<tenant>-<6 of base62>`.
 *
 * `secret`: 32 random characters of base62.
 */
export function formatApiKey(environment: KeyEnvironment, keyId: string, secret: string): string {
  const said = `aw_${environment}_${keyId}_${secret}`;
  return said + checksumOf(said);
}

/** Null: no key that was ever made. Every change of a single character is noticed, and nothing is looked up for it. */
export function parseApiKey(text: string): ApiKey | null {
  if (text.length > MAX_LENGTH) return null;
  const [, environment, keyId, tenant, checksum] = KEY.exec(text) ?? [];
  if (environment === undefined || keyId === undefined || tenant === undefined) return null;
  if (checksumOf(text.slice(0, -CHECKSUM_LENGTH)) !== checksum) return null;
  return { environment: environment as KeyEnvironment, tenant, keyId };
}

/** As many digits of base62 as there are bytes that are fair dice: one in 32 is not, and gives none. */
export function base62(bytes: Uint8Array): string {
  // 248 is the largest multiple of 62 in a byte.
  const fair = bytes.filter((byte) => byte < 248);
  return Array.from(fair, (byte) => DIGITS[byte % 62]).join("");
}

/** CRC-32 in base62, so that whoever finds a key can tell that it is one. It keeps nothing secret. */
function checksumOf(text: string): string {
  let digits = "";
  for (let rest = crc32(text); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / 62)) {
    digits = `${DIGITS[rest % 62]}${digits}`;
  }
  return digits;
}

/** Of ASCII. Source: ISO-HDLC, as in gzip. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

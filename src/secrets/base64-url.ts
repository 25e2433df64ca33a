import { encodeBase64Url } from "hono/utils/encode";

/** Base64url without padding: an id holds no `=`. */
export function base64Url(bytes: ArrayBuffer | Uint8Array): string {
  return encodeBase64Url(new Uint8Array(bytes).buffer).replace(/=+$/, "");
}

import { createHmac, timingSafeEqual } from "node:crypto";

/** Without any library, and without protection against replay. `headers`: a Node request's. */
export function verify(rawBody, headers) {
  // The key is the secret as it is written, whsec_ included.
  const expected = createHmac("sha256", process.env.WEBHOOK_SECRET ?? "")
    .update(rawBody)
    .digest();
  const given = Buffer.from(String(headers["x-webhook-signature"]), "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new Error("not signed by this secret");
  }
  return JSON.parse(rawBody);
}

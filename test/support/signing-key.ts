/** A root key for settings that a test gives a product of its own. */
export const SIGNING_KEY = "signing-key-canary-0123456789-0123456789";

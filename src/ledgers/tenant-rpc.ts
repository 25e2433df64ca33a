/** `whsec_<base64 of 32 bytes>` each; the older ones newest first. */
export type SigningSecrets = { newest: string; older: string[] };

/** `previousValidUntil`: epoch milliseconds; null where there is none before it that is still valid. */
export type RotatedSecret = { secret: string; previousValidUntil: number | null };

/** What is a tenant's own. */
export interface TenantRpc {
  /**
   * The secrets its deliveries are signed with: at most five. A tenant without any gets its first here. May be repeated
   * without harm. Null: they cannot be read, for the root key is another.
   */
  webhookSecrets(): Promise<SigningSecrets | null>;
  /**
   * Makes a new secret. The ones before stay valid for the overlap, none longer than it was to be; with 0 they end at once.
   * Every call makes another: one that was lost on the way may have been carried out.
   */
  rotateWebhookSecret(overlapSeconds: number): Promise<RotatedSecret>;
}

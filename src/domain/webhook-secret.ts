/** A webhook secret as it is kept: sealed. `validUntil`: null for the one in use, an instant for those it has replaced. */
export type KeptSecret = { sealed: string; validUntil: number | null };

/** Each is a signature in every delivery, so there are never more than a header can bear. */
export const MAX_SECRETS = 5;

/** Those that deliveries are signed with: newest first, as they are kept. */
export function validSecrets(kept: readonly KeptSecret[], now: number): KeptSecret[] {
  return kept.filter(({ validUntil }) => validUntil === null || validUntil > now);
}

/**
 * What is kept once a new secret is in use. The ones before stay valid for the overlap, and none for longer than it was to
 * be; of more than five the oldest go.
 */
export function rotated(
  kept: readonly KeptSecret[],
  sealed: string,
  overlapMs: number,
  now: number,
): KeptSecret[] {
  const overlapEnd = now + overlapMs;
  const before = kept.map((secret) => ({
    ...secret,
    validUntil: Math.min(secret.validUntil ?? overlapEnd, overlapEnd),
  }));
  const after = [{ sealed, validUntil: null }, ...validSecrets(before, now)];
  return after.slice(0, MAX_SECRETS);
}

/** The same secrets, sealed as `changes` says: by how they were sealed to how they are now. */
export function resealed(
  kept: readonly KeptSecret[],
  changes: ReadonlyMap<string, string>,
): KeptSecret[] {
  return kept.map(({ sealed, validUntil }) => ({
    sealed: changes.get(sealed) ?? sealed,
    validUntil,
  }));
}

import { isUnlimited, type Admission } from "../domain/account.ts";
import { jobOf, type Batch } from "../domain/batch.ts";
import { retryOf } from "../domain/batch-draft.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import { sumOfWorst } from "../domain/worst-case.ts";
import { objectName, replayIdFor } from "../ids.ts";
import type { Worst } from "../storage/batch-store.ts";
import { reserveAll } from "../submit/reservation.ts";

/** Items of a batch that are to be tried again, if its tenant's account lets all of them in. */
export type Retries = { batch: Batch; indexes: number[]; limits: TenantLimits; now: number };

/** `free`: nobody need be asked. Null: the account could not be reached. */
export async function admitRetries(
  env: Env,
  { batch, indexes, limits, now }: Retries,
  worst: Worst,
): Promise<Admission | "free" | null> {
  if (indexes.length === 0 || isUnlimited(limits)) return "free";
  const { tenant, uid } = batch.spec;
  const jobs = indexes.map(async (index) => {
    const id = await replayIdFor(`dlq_${jobOf(batch, index).uid}`);
    const job = await objectName(tenant, id);
    const retry = { uid: retryOf(batch, index, now).uid, job, model: "", user: null };
    return { ...retry, reserveNano: worstOf(worst, index) };
  });
  const asked = { limits, submission: `${uid}_${now}`, submittedAt: now };
  return reserveAll(env, tenant, { ...asked, jobs: await Promise.all(jobs) });
}

/** The most that the jobs of these items may cost together; null: any sum. */
export function worstOfAll(worst: Worst, indexes: number[]): number | null {
  return sumOfWorst(indexes.map((index) => worstOf(worst, index)));
}

function worstOf(worst: Worst, index: number): number | null {
  return worst?.[index] ?? null;
}

import type { Admission, ChargeKey } from "../domain/account.ts";
import { modelOf } from "../domain/course.ts";
import type { JobSpec } from "../domain/job.ts";
import { NO_LIMITS, type TenantLimits } from "../domain/tenant.ts";
import type { Applicants } from "../ledgers/account-rpc.ts";
import { accountOf } from "../ledgers/account-stub.ts";
import type { Submitted } from "../job/job-rpc.ts";
import { accountName } from "../ids.ts";
import { logFault } from "../log.ts";
import type { Plan } from "./plan.ts";
import { within } from "../within.ts";

/** How long an account may take to answer, in milliseconds: somebody waits for it. */
const ADMITTED_WITHIN_MS = 5_000;

/** A job that is planned, and the name of its object. */
export type Candidate = Plan & { name: string };

/**
 * The ways to a job's object: to make the job, and to ask what a repetition is answered (null: it would make the job).
 * `recall` null: its id was made just now, so it repeats nothing.
 */
export type Door = {
  submit: () => Promise<Submitted>;
  recall: (() => Promise<Submitted | null>) | null;
};

/** Asks a job's account to let it in. Null: the account could not be reached, and whether anything is reserved nobody knows. */
export async function reserve(
  env: Env,
  { spec, worstNano, name }: Candidate,
  limits: TenantLimits,
): Promise<Admission | null> {
  const { tenant, uid, submittedAt, user } = spec;
  const model = modelOf(spec);
  const charge = { uid, submittedAt, job: name, model, user };
  try {
    const account = await accountOf(env, tenant);
    return await within(
      ADMITTED_WITHIN_MS,
      account.admit({ ...charge, reserveNano: worstNano, limits }),
    );
  } catch (error) {
    logFault("account.unreachable", { object: name }, error);
    return null;
  }
}

/** Gives back what is reserved for a job that did not come to be. Never rejects: what is lost the account finds by itself. */
export async function unreserve(
  env: Env,
  { id, tenant, uid, submittedAt }: JobSpec,
): Promise<void> {
  try {
    await (await accountOf(env, tenant)).release({ uid, submittedAt });
  } catch (error) {
    logFault("account.unreachable", { job_id: id }, error);
  }
}

/** The same for jobs that are to be let in together or not at all. */
export async function reserveAll(
  env: Env,
  tenant: string,
  applicants: Applicants,
): Promise<Admission | null> {
  try {
    const account = await accountOf(env, tenant);
    return await within(ADMITTED_WITHIN_MS, account.admitAll(applicants));
  } catch (error) {
    logFault("account.unreachable", { object: await accountName(tenant) }, error);
    return null;
  }
}

/** Gives back what is reserved for jobs of a batch. `submission`: where there is no such batch at all. Never rejects. */
export async function unreserveAll(
  env: Env,
  tenant: string,
  keys: ChargeKey[],
  submission?: string,
): Promise<void> {
  try {
    await (await accountOf(env, tenant)).releaseAll(keys, submission);
  } catch (error) {
    logFault("account.unreachable", { object: await accountName(tenant) }, error);
  }
}

/**
 * Submits a job on the operator's word: what it may cost is reserved, so that its tenant's other jobs do not spend it
 * too, and nothing is refused.
 */
export async function submitReserved(
  env: Env,
  candidate: Candidate,
  door: Pick<Door, "submit">,
): Promise<Submitted> {
  await reserve(env, candidate, NO_LIMITS);
  const submitted = await door.submit();
  if (submitted.type !== "accepted") await unreserve(env, candidate.spec);
  return submitted;
}

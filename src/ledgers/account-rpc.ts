import type { Admission, Asked, Charge, ChargeKey, Quota, Spent } from "../domain/account.ts";
import type { Bill } from "../domain/bill.ts";
import type { Period } from "../domain/period.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import type { Usage, UsageQuery } from "../domain/usage.ts";

/** A job that asks to be let in, and what is reserved for it then. */
export type Applicant = Asked & Omit<Charge, "reservedNano" | "bill">;

/** Jobs that ask to be let in together. `submission`: what they are one of, to the rate; no other has its uid. */
export type Applicants = {
  limits: TenantLimits;
  submission: string;
  submittedAt: number;
  jobs: Omit<Applicant, "limits" | "submittedAt">[];
};

/** How a tenant stands now. */
export type Balance = { spent: Record<Period, Spent>; quota: Quota };

/** One tenant's account. Each call may be repeated without harm. */
export interface AccountRpc {
  /** Lets the job in and reserves the most it may cost, or says which limit it meets. */
  admit(applicant: Applicant): Promise<Admission>;
  /** Lets all of them in or none, and counts them as one submission. */
  admitAll(applicants: Applicants): Promise<Admission>;
  /** The job did not come to be: what was reserved for it is free again. A charge that is settled stays. */
  release(key: ChargeKey): Promise<void>;
  /** The same for jobs that came together. `submission`: where none of them came to be, so that it does not count either. */
  releaseAll(keys: ChargeKey[], submission?: string): Promise<void>;
  /** What a job came to, in the place of what was reserved or told before. */
  settle(key: ChargeKey & Pick<Charge, "job">, bill: Bill): Promise<void>;
  usage(query: UsageQuery): Promise<Usage>;
  balance(limits: TenantLimits): Promise<Balance>;
}

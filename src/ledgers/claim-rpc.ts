/** The claim on one piece of work of one user. Each call may be repeated without harm. */
export interface ClaimRpc {
  /**
   * The id of the job that does this work: the one that has claimed it first within its window, otherwise `jobId`,
   * which holds it from now on.
   */
  claim(jobId: string, windowMs: number): Promise<string>;
  /** Gives the claim up if it is this job's, for that job is no more. */
  release(jobId: string): Promise<void>;
}

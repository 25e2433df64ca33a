import type { ChargeStanding } from "../domain/bill.ts";
import type { CallReport, Command, Part } from "../domain/command.ts";
import type { GivenUp } from "../domain/dead-letter.ts";
import type { DeliveryOutcome } from "../domain/delivery.ts";
import type { Failure } from "../domain/failure.ts";
import type { Answer, JobSpec, Route, Submission } from "../domain/job.ts";
import type { Waits } from "../domain/outlook.ts";
import type { Origin } from "../domain/origin.ts";
import type { Webhook } from "../domain/webhook.ts";
import type { DeliveryView, JobWebhookEvent } from "../schema/delivery.ts";
import type { AttemptView, JobStatus, JobView, KeptRequest } from "../schema/job.ts";
import type { StepView } from "../schema/job-steps.ts";
import type { StepOutput } from "../domain/step-run.ts";
import type { Needs } from "../schema/message.ts";

/*
 * What a job's object can be asked, and what it answers. For minutes after a deploy old objects meet new
 * Workers and the reverse, so fields may be added here, but none renamed or given another meaning.
 */

/** A job as its owner sees it. `waits`: where it stands in line; absent if it does not. */
export type Shown = { view: JobView; waits?: Waits };

export type Submitted = ({ type: "accepted" | "replayed" } & Shown) | { type: "reused" | "gone" };

/** The right to one attempt, and all a consumer needs for it. */
export type Leased = {
  type: "leased";
  route: Route;
  request: KeptRequest;
  timeoutMs: number;
  watched: boolean;
  /** The longest answer the job's own budget still pays for. Absent: any. */
  maxTokens?: number;
  /** What to do, in a job that has steps. Absent: it is one call. */
  step?: LeasedStep;
};

/** A step that is to be run. The fields but `index` and `outputs` are what `http` steps need. */
export type LeasedStep = {
  index: number;
  /** Of the earlier steps that it refers to. */
  outputs: StepOutput[];
  tenant: string;
  /** The same for every run of this step. */
  idempotencyKey: string;
  sealedHeaders: string | null;
  submittedTo: string;
};

/** `wait`: not due yet. `ignore`: there is nothing to do, or somebody does it. `elsewhere`: it calls another provider. */
export type Grant =
  | Leased
  | { type: "wait"; delaySeconds: number }
  | { type: "ignore" }
  | { type: "elsewhere"; needs: Needs };

/** What the job says to each report. `go` false: the attempt is over (cancelled, fenced), stop the call. */
export type Directive = { go: boolean; watched: boolean };

/**
 * What becomes of the queue message once its attempt is over. `goOn`: the job has another step, which its consumer may begin
 * without the message, with what it needs; one that does not know this has the message come again.
 */
export type Settlement =
  | { type: "ack" }
  | { type: "retry"; delaySeconds: number; goOn?: true; needs?: Needs | null };

/** What became of an answer: `other`: another was given before; `unasked`: the job does not wait for it. */
export type Answered = { type: "taken" | "other" | "unasked"; view: JobView };

/** An answer to what a job asks, as the command has it. */
export type Input = Omit<Extract<Command, { type: "input" }>, "type">;

/** A delivery to be attempted now, and all that takes. */
export type Owed = {
  type: "owed";
  tenant: string;
  jobId: string;
  webhook: Webhook;
  deliveryId: string;
  event: JobWebhookEvent;
  body: string;
  /** Its number since the delivery was owed or last replayed, from 1. */
  attempt: number;
};

/** `none`: nothing is due, or somebody is at it. */
export type NextDelivery = Owed | { type: "none" };

/** A purged job is `gone`; one that was never submitted, or whose key has run out, is `unknown`. */
export type Found<T> = { type: "found"; value: T } | { type: "gone" } | { type: "unknown" };

/** The same where it was asked for by its name. */
export type Seen = Found<JobView> & Pick<Shown, "waits">;

/** What a job is submitted again from, and whether it may be. */
export type Source = { status: JobStatus; origin: Origin };

/**
 * One event: its place in the log, and its JSON, which starts with its type. `text`: the job's text is not in the JSON, for
 * it may be megabytes. It is what the deltas after `after` say, and belongs into the JSON at `at`; `bytes` of UTF-8.
 */
export type Frame = { seq: number; json: string; text?: TextApart };
export type TextApart = { after: number; at: number; bytes: number };

/** A run of the log, and where the job stood. */
export type LogPage = {
  jobId: string;
  status: JobStatus;
  lastSeq: number;
  ended: boolean;
  events: Frame[];
  more: boolean;
};

/**
 * A job's object from outside: each call may fail on the way. `tenant`: whose job the caller takes it for; another's is
 * unknown.
 */
export interface JobRpc {
  /** `carried`: the outputs of its first steps, as the job has them that this one repeats. */
  submit(spec: JobSpec, request: KeptRequest, carried?: string[]): Promise<Submitted>;
  /** What a submission of this id is answered that makes no job; null: it would make one. */
  recall(submission: Submission): Promise<Submitted | null>;
  /**
   * `provider`: of whom there is a permit, null: of nobody. Only for a call of that one is the lease granted. One who
   * does not say is of a version without permits; `takesSteps` likewise.
   */
  lease(token: string, provider?: string | null, takesSteps?: boolean): Promise<Grant>;
  append(token: string, part: Part): Promise<Directive>;
  /** Only asks, and shows the text that is not appended yet: should the job be cancelled, it is kept. */
  pulse(token: string, waiting: Part): Promise<Directive>;
  complete(token: string, rest: Part, answer: Answer, report: CallReport): Promise<Settlement>;
  fail(token: string, failure: Failure, report: CallReport): Promise<Settlement>;
  account(token: string, report: CallReport): Promise<void>;
  giveUp(): Promise<GivenUp>;
  /** False: the job was cancelled or deleted meanwhile, and its letter must not stay. */
  deadLettered(): Promise<boolean>;
  cancel(reason: string, tenant?: string): Promise<Found<JobView>>;
  /** Ends the job if it has not ended, and deletes its content now. */
  delete(tenant?: string): Promise<Found<null>>;
  source(tenant?: string): Promise<Found<Source>>;
  /** `forMs`: how long the attempt may take. */
  nextDelivery(token: string, forMs: number): Promise<NextDelivery>;
  /** True: another delivery is due. */
  settleDelivery(token: string, deliveryId: string, outcome: DeliveryOutcome): Promise<boolean>;
  deliveries(tenant?: string): Promise<Found<DeliveryView[]>>;
  /** Null: the job has no delivery of this id. */
  replayDelivery(deliveryId: string, tenant?: string): Promise<Found<DeliveryView | null>>;
  attempts(tenant?: string): Promise<Found<AttemptView[]>>;
  steps(tenant?: string): Promise<Found<StepView[]>>;
  /** Safe to repeat: the same answer is taken once, and answered the same. */
  input(input: Input, tenant?: string): Promise<Found<Answered>>;
  /** The outputs of the finished steps of the job that this names, for one that repeats it; none where it is here no more. */
  finished(dlqId: string): Promise<string[]>;
  /** Whether the job of this uid is here, and what it came to if it has ended. */
  bill(uid: string): Promise<ChargeStanding>;
  read(withPartialOutput: boolean, tenant?: string): Promise<Seen>;
  /** The job without its text, which may be megabytes. */
  glance(tenant?: string): Promise<Seen>;
  /** `textApart`: a long text is left out of the terminal event, for whoever knows how to put it in again. */
  log(after: number, textApart?: boolean, tenant?: string): Promise<Found<LogPage>>;
  /** WebSocket upgrades only: `?after=` and `?format=`; the tenant is the header `tenant`. */
  fetch(request: Request): Promise<Response>;
}

/** What callers ask of a job that is theirs. */
export type OwnJob = Pick<
  JobRpc,
  | "cancel"
  | "delete"
  | "source"
  | "deliveries"
  | "replayDelivery"
  | "attempts"
  | "steps"
  | "input"
  | "read"
  | "glance"
  | "log"
  | "fetch"
>;

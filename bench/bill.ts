/** What one job used, as the counting Worker counts it. */
export type Bill = {
  /** Calls of the job's object, by method; `fetch` is a reader's socket. */
  calls: Record<string, number>;
  /** Calls of its storage that write, by method. */
  writes: Record<string, number>;
  sent: number;
  delivered: number;
  logLines: number;
  /** Of the object's database. */
  bytes: number;
};

export const LANES = ["LANE_HIGH", "LANE_NORMAL", "LANE_LOW", "LANE_LONG", "DEAD_LETTERS"] as const;

export function newBill(): Bill {
  return { calls: {}, writes: {}, sent: 0, delivered: 0, logLines: 0, bytes: 0 };
}

export function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Submission, and one poll or one event stream: the harness makes just these. */
const CLIENT_REQUESTS = 2;

/** What follows a day later and is not waited for: an alarm, and `deleteAll`, whose charge is not documented. */
const AT_RETENTION = { objectRequests: 1, rows: 1 };
const RETENTION_DAYS = 1;

/**
 * What the ledgers are told: the list of acceptance, end and removal, a row each; the statistics of start and end; the
 * account of the cost, which is a row, and another when it is summed up.
 */
const LEDGERS = { objectRequests: 6, rows: 5 };

/** A permit, asked for and settled, as where a provider limits tokens; the benchmark's has no limit. */
const PROVIDER = { objectRequests: 2 };

/** Assumed, for only production could tell: CPU milliseconds, and how long an object is awake for a call. */
const CPU_MS = { submit: 3, attempt: 40, poll: 1, stream: 1, streamedEvent: 0.05 };
const AWAKE_SECONDS = 0.005;
const SPANS_PER_INVOCATION = 5;
const [LOG_SAMPLING, TRACE_SAMPLING] = [0.05, 0.001];

/** Dollars, beyond what the Workers Paid plan includes: per million, but storage per GB and month. */
const PRICES = {
  requests: 0.3,
  cpuMs: 0.02,
  objectRequests: 0.15,
  secondsAwake: 1.6,
  rowsWritten: 1,
  queueOperations: 0.4,
  logEvents: 0.6,
  gigabyteMonth: 0.2,
};

export type Item = { name: string; amount: number; dollars: number; how: string };

/** What a million jobs like this one cost. `events`: frames of the event stream, if somebody watched. */
export function itemise(bill: Bill, events: number): Item[] {
  const requests = CLIENT_REQUESTS + bill.delivered;
  const readingMs = events === 0 ? CPU_MS.poll : CPU_MS.stream + events * CPU_MS.streamedEvent;
  const beside = [AT_RETENTION, LEDGERS, PROVIDER].map(({ objectRequests }) => objectRequests);
  const calls = beside.reduce((total, requests) => total + requests, sum(bill.calls));
  const invocations = requests + calls;
  const megabytes = bill.bytes / 1e6;
  return [
    item(
      "Worker requests",
      requests,
      PRICES.requests,
      "submission, queue delivery, one poll or event stream",
    ),
    item(
      "Worker CPU ms",
      CPU_MS.submit + CPU_MS.attempt * bill.delivered + readingMs,
      PRICES.cpuMs,
      `assumed: submission ${CPU_MS.submit}, attempt ${CPU_MS.attempt}, poll or stream ${CPU_MS.poll}, ${CPU_MS.streamedEvent} per event streamed`,
    ),
    item(
      "object requests",
      calls,
      PRICES.objectRequests,
      "counted, the alarm at retention, the provider's permit, and what the ledgers are told",
    ),
    item(
      "object seconds awake",
      calls * AWAKE_SECONDS,
      PRICES.secondsAwake,
      `assumed: ${AWAKE_SECONDS * 1_000} ms a call`,
    ),
    item(
      "rows written",
      sum(bill.writes) + AT_RETENTION.rows + LEDGERS.rows,
      PRICES.rowsWritten,
      "counted, `deleteAll` at retention taken as one (not documented), and the list's",
    ),
    item(
      "queue operations",
      bill.sent + 2 * bill.delivered,
      PRICES.queueOperations,
      "counted: written, read, deleted",
    ),
    item(
      "storage MB × months",
      (megabytes * RETENTION_DAYS) / 30,
      // A megabyte for each of a million jobs is a thousand gigabytes.
      PRICES.gigabyteMonth * 1_000,
      `measured ${Math.round(bill.bytes / 1e3)} kB, for ${RETENTION_DAYS} day`,
    ),
    item(
      "log events",
      bill.logLines * LOG_SAMPLING,
      PRICES.logEvents,
      `${LOG_SAMPLING * 100} % of the counted lines; the platform's own are off`,
    ),
    item(
      "trace spans",
      invocations * SPANS_PER_INVOCATION * TRACE_SAMPLING,
      PRICES.logEvents,
      `${TRACE_SAMPLING * 100} % of ${SPANS_PER_INVOCATION} (assumed) for each invocation`,
    ),
  ];
}

function item(name: string, amount: number, price: number, how: string): Item {
  return { name, amount, dollars: amount * price, how };
}

import { ASK_AFTER_MS, type Charge, type ChargeKey, type Spent } from "../domain/account.ts";
import { DAY_MS, type Span } from "../domain/period.ts";
import type { Counted } from "../domain/rate.ts";
import { NO_USAGE, type Usage, type UsageGroup, type UsageOf } from "../domain/usage.ts";
import type { UsageQuery, UsageSum } from "../domain/usage.ts";
import { ACCOUNT_MIGRATIONS } from "./account-schema.ts";
import { billColumns, CHARGE_COLUMNS, chargeOf, keyOf, sumsOf } from "./charge-row.ts";
import type { ChargeRow, DaySum } from "./charge-row.ts";
import { migrate } from "./migrations.ts";

const OF_KEY = "settled = ? AND submitted_at = ? AND uid = ?";

/** Most groups told of at once. */
const MOST_GROUPS = 1_000;

/**
 * By `total`, never by `sum`, which fails above 2^63: a provider that reports nonsense twice would close the account for good.
 * Below 2^53 both are exact.
 */
const SUMS = `total(jobs) AS jobs, total(promptTokens) AS promptTokens,
  total(completionTokens) AS completionTokens, total(cost) AS costNano, total(wasted) AS wastedNano`;

/** All jobs that ended, whether kept one by one or as the sums of their day, between two starts of days. */
const ENDED = `
  SELECT day, model, user, jobs, prompt_tokens AS promptTokens,
    completion_tokens AS completionTokens, cost, wasted
  FROM day_sum WHERE day >= ?1 AND day < ?2
  UNION ALL
  SELECT submitted_at - submitted_at % ${DAY_MS}, model, user, 1, prompt_tokens,
    completion_tokens, cost, wasted
  FROM charge WHERE settled = 1 AND submitted_at >= ?1 AND submitted_at < ?2`;

/**
 * An account's rows: a charge is one, which is written when it is reserved and once more when it is settled. Reading an
 * account that nobody has charged creates nothing.
 */
export class AccountStore {
  readonly #storage: DurableObjectStorage;
  #exists = false;
  #migrated = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  find({ uid, submittedAt }: ChargeKey): Charge | null {
    if (!this.#created()) return null;
    const query = `SELECT ${CHARGE_COLUMNS} FROM charge
      WHERE settled IN (0, 1) AND submitted_at = ? AND uid = ?`;
    const [row] = this.#storage.sql.exec<ChargeRow>(query, submittedAt, uid).toArray();
    return row === undefined ? null : chargeOf(row);
  }

  /** Writes one row: of a charge that is new, or in the place of what it was. */
  put(before: Charge | null, charge: Charge): void {
    this.#create();
    const { job, model, user, reservedNano, bill, submission = "" } = charge;
    if (before === null) {
      const askAt = charge.submittedAt + ASK_AFTER_MS;
      const about = [job, model, user ?? "", reservedNano, askAt];
      const row = [...keyOf(charge), ...about, ...billColumns(bill), submission];
      const insert = "INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
      this.#storage.sql.exec(insert, ...row);
      return;
    }
    this.#storage.sql.exec(
      `UPDATE charge SET settled = ?, model = ?, user = ?, ended_at = ?, prompt_tokens = ?,
         completion_tokens = ?, cost = ?, wasted = ? WHERE ${OF_KEY}`,
      Number(bill !== null),
      model,
      user ?? "",
      ...billColumns(bill),
      ...keyOf(before),
    );
  }

  remove(charge: Charge): void {
    this.#storage.sql.exec(`DELETE FROM charge WHERE ${OF_KEY}`, ...keyOf(charge));
  }

  /** The sums of the jobs submitted in this time. */
  spent({ start, end }: Span): Spent {
    if (!this.#created()) return { settledNano: 0, reservedNano: 0 };
    const { sql } = this.#storage;
    const settled = `SELECT total(cost) AS nano FROM (${ENDED})`;
    const reserved = `SELECT total(reserved) AS nano FROM charge
      WHERE settled = 0 AND submitted_at >= ? AND submitted_at < ?`;
    const settledNano = sql.exec<{ nano: number }>(settled, start, end).one().nano;
    const reservedNano = sql.exec<{ nano: number }>(reserved, start, end).one().nano;
    return { settledNano, reservedNano };
  }

  open(): number {
    if (!this.#created()) return 0;
    const query = "SELECT count(*) AS open FROM charge WHERE settled = 0";
    return this.#storage.sql.exec<{ open: number }>(query).one().open;
  }

  /** Whatever was submitted since then, oldest first. What came together is one. */
  since(instant: number): Counted[] {
    if (!this.#created()) return [];
    const query = `SELECT CASE submission WHEN '' THEN uid ELSE submission END AS whose,
        min(submitted_at) AS at FROM charge
      WHERE settled IN (0, 1) AND submitted_at > ? GROUP BY whose ORDER BY at`;
    const rows = this.#storage.sql.exec<{ whose: string; at: number }>(query, instant).toArray();
    return rows.map(({ whose: uid, at }) => ({ uid, at }));
  }

  /** Open charges whose job is to be asked by now. */
  toAsk(now: number, most: number): Charge[] {
    if (!this.#created()) return [];
    const query = `SELECT ${CHARGE_COLUMNS} FROM charge WHERE settled = 0 AND ask_at <= ?
      ORDER BY ask_at LIMIT ?`;
    return this.#storage.sql.exec<ChargeRow>(query, now, most).toArray().map(chargeOf);
  }

  askLater(charge: Charge, at: number): void {
    const update = `UPDATE charge SET ask_at = ? WHERE ${OF_KEY}`;
    this.#storage.sql.exec(update, at, ...keyOf(charge));
  }

  /** When the next job is to be asked; Infinity: none is open. */
  nextAskAt(): number {
    if (!this.#created()) return Infinity;
    const query = "SELECT min(ask_at) AS at FROM charge WHERE settled = 0";
    return this.#storage.sql.exec<{ at: number | null }>(query).one().at ?? Infinity;
  }

  hasSettled(): boolean {
    if (!this.#created()) return false;
    const query = "SELECT 1 FROM charge WHERE settled = 1 LIMIT 1";
    return this.#storage.sql.exec(query).toArray().length > 0;
  }

  /** Sums up charges that ended by `endedBy`, at most so many, whole or not at all. True: there may be more. */
  sumUp(endedBy: number, most: number): boolean {
    if (!this.#created()) return false;
    const query = `SELECT ${CHARGE_COLUMNS} FROM charge
      WHERE settled = 1 AND submitted_at <= ?1 AND ended_at <= ?1 LIMIT ?2`;
    const rows = this.#storage.sql.exec<ChargeRow>(query, endedBy, most).toArray();
    this.#storage.transactionSync(() => {
      for (const row of rows) this.remove(chargeOf(row));
      for (const sum of sumsOf(rows)) this.#add(sum);
    });
    return rows.length === most;
  }

  usage({ from, to, groupBy }: UsageQuery): Usage {
    if (!this.#created()) return { groups: [], left: 0, total: NO_USAGE };
    const { sql } = this.#storage;
    const order = groupBy === "day" ? "value" : "costNano DESC, jobs DESC, value";
    const grouped = `SELECT ${groupBy} AS value, ${SUMS} FROM (${ENDED}) GROUP BY value
      ORDER BY ${order} LIMIT ${MOST_GROUPS}`;
    const groups = sql.exec<UsageSum & { value: string | number }>(grouped, from, to).toArray();
    const whole = `SELECT count(DISTINCT ${groupBy}) AS known, ${SUMS} FROM (${ENDED})`;
    const { known, ...total } = sql.exec<UsageSum & { known: number }>(whole, from, to).one();
    return {
      groups: groups.map((group) => named(groupBy, group)),
      left: known - groups.length,
      total,
    };
  }

  #add(sum: DaySum): void {
    this.#storage.sql.exec(
      `INSERT INTO day_sum VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs,
         prompt_tokens = prompt_tokens + excluded.prompt_tokens,
         completion_tokens = completion_tokens + excluded.completion_tokens,
         cost = cost + excluded.cost, wasted = wasted + excluded.wasted`,
      sum.day,
      sum.model,
      sum.user,
      sum.jobs,
      sum.promptTokens,
      sum.completionTokens,
      sum.costNano,
      sum.wastedNano,
    );
  }

  #create(): void {
    if (this.#migrated) return;
    migrate(this.#storage, ACCOUNT_MIGRATIONS);
    this.#migrated = true;
  }

  #created(): boolean {
    const find = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'charge'";
    this.#exists ||= this.#storage.sql.exec(find).toArray().length > 0;
    return this.#exists;
  }
}

function named(groupBy: UsageGroup, group: UsageSum & { value: string | number }): UsageOf {
  return groupBy === "user" && group.value === "" ? { ...group, value: null } : group;
}

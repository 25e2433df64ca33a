import {
  laneOfLine,
  lineOf,
  LINES,
  UNSAID_PRIORITY,
  type Lane,
  type Line,
} from "../domain/lane.ts";
import { NOTHING_MEASURED, type Measured } from "../domain/measured.ts";
import { NOBODY_WAITS, type OwnLine, type Waiting } from "../domain/outlook.ts";
import { LONGEST_MS, type Wish, type WishKey } from "../domain/permit.ts";
import type { LearnedModels, LimitSetting } from "../domain/provider-limits.ts";
import type { Turn } from "../domain/turns.ts";
import type { ParkedJobs } from "../domain/waiting.ts";
import { migrate } from "./migrations.ts";

/** What is known of a provider besides who waits for it. Instants in epoch milliseconds. */
export type ProviderRules = {
  /** What the operator has ordered while the service runs. */
  order: LimitSetting;
  paused: boolean;
  learned: LearnedModels;
  blockedUntil: number;
  /** No permit was granted later than this. */
  activeUntil: number;
  /** What calls took, as of `measuredAt`. */
  measured: Measured;
  measuredAt: number;
};

const NO_RULES: ProviderRules = {
  order: { requests: null, tokens: null },
  paused: false,
  learned: {},
  blockedUntil: 0,
  activeUntil: 0,
  measured: NOTHING_MEASURED,
  measuredAt: 0,
};

const RULES = "rules";

/**
 * In the order of the turns, by its key alone: a job that is parked is one row in and one row out. `lane`, and later
 * `line`, is its place in LINES.
 */
const MIGRATIONS = [
  `CREATE TABLE parked (
    lane INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    since INTEGER NOT NULL,
    job TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (lane, tenant, since, job)
  ) WITHOUT ROWID`,
  `ALTER TABLE parked ADD COLUMN lasts_ms INTEGER NOT NULL DEFAULT ${LONGEST_MS}`,
  `CREATE TABLE in_line (
    line INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    priority INTEGER NOT NULL,
    since INTEGER NOT NULL,
    job TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    lasts_ms INTEGER NOT NULL,
    PRIMARY KEY (line, tenant, priority, since, job)
  ) WITHOUT ROWID;
  INSERT INTO in_line
    SELECT lane, tenant, ${UNSAID_PRIORITY}, since, job, tokens, lasts_ms FROM parked;
  DROP TABLE parked;
  ALTER TABLE in_line RENAME TO parked`,
];

/** A line is told by about so many of its jobs. */
const MARKS = 200;

type Row = Required<Omit<Wish, "lane" | "rung" | "priority">> & { line: number; priority: number };

/** A provider's rows (docs/storage.md). Of one for whom nobody ever waited there is no table. */
export class ProviderStore implements ParkedJobs {
  readonly #storage: DurableObjectStorage;
  #exists = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  rules(): ProviderRules {
    return { ...NO_RULES, ...this.#storage.kv.get<ProviderRules>(RULES) };
  }

  saveRules(rules: ProviderRules): void {
    this.#storage.kv.put(RULES, rules);
  }

  add(wish: Wish): void {
    if (!this.#exists) migrate(this.#storage, MIGRATIONS);
    this.#exists = true;
    const { tokens, lastsMs = LONGEST_MS } = wish;
    const insert = "INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?, ?, ?, ?)";
    this.#storage.sql.exec(insert, ...keyOf(wish), tokens, lastsMs);
  }

  remove(wish: WishKey): void {
    if (!this.#created()) return;
    this.#storage.sql.exec(
      "DELETE FROM parked WHERE line = ? AND tenant = ? AND priority = ? AND since = ? AND job = ?",
      ...keyOf(wish),
    );
  }

  first({ line, tenant }: Turn): Wish | null {
    const condition = "WHERE line = ? AND tenant = ? ORDER BY priority, since, job LIMIT 1";
    return this.#read(condition, LINES.indexOf(line), tenant)[0] ?? null;
  }

  /** A seek for each, however many jobs each has. */
  turns(): Turn[] {
    const turns: Turn[] = [];
    let [line, tenant] = [-1, ""];
    for (;;) {
      const condition = "WHERE (line, tenant) > (?, ?) ORDER BY line, tenant LIMIT 1";
      const [next] = this.#read(condition, line, tenant);
      if (next === undefined) return turns;
      turns.push({ line: lineOf(next), tenant: next.tenant });
      [line, tenant] = [LINES.indexOf(lineOf(next)), next.tenant];
    }
  }

  /** How many wait in each lane, and when the oldest of all became due. Reads a row for each. */
  waiting(): { parked: Record<Lane, number>; oldestParkedAt: number | null } {
    const parked = { high: 0, normal: 0, low: 0, long: 0 };
    if (!this.#created()) return { parked, oldestParkedAt: null };
    const query = "SELECT line, count(*) AS jobs, min(since) AS oldest FROM parked GROUP BY line";
    const rows = this.#storage.sql.exec<{ line: number; jobs: number; oldest: number }>(query);
    let oldestParkedAt: number | null = null;
    for (const { line, jobs, oldest } of rows) {
      parked[laneOfLine(lineAt(line))] += jobs;
      oldestParkedAt = Math.min(oldest, oldestParkedAt ?? Infinity);
    }
    return { parked, oldestParkedAt };
  }

  /** How many of each line and tenant wait. Reads all of them. */
  parkedByTenant(): Waiting[] {
    if (!this.#created()) return [];
    const query =
      "SELECT line, tenant, count(*) AS jobs, sum(tokens) AS tokens FROM parked GROUP BY line, tenant";
    const rows = this.#storage.sql.exec<Omit<Waiting, "line"> & { line: number }>(query).toArray();
    return rows.map((row) => Object.assign(row, { line: lineAt(row.line) }));
  }

  /** In which order a tenant's jobs of a priority wait. Reads all of them, and those that go before. */
  ownLine({ line, tenant }: Turn, priority: number): OwnLine {
    if (!this.#created()) return NOBODY_WAITS;
    const sql = this.#storage.sql;
    const at = [LINES.indexOf(line), tenant, priority];
    const count = (compared: "=" | "<") => {
      const where = `line = ? AND tenant = ? AND priority ${compared} ?`;
      const query = `SELECT count(*) AS jobs FROM parked WHERE ${where}`;
      return sql.exec<{ jobs: number }>(query, ...at).one().jobs;
    };
    const [better, waiting] = [count("<"), count("=")];
    if (waiting === 0) return { ...NOBODY_WAITS, better };
    const step = Math.ceil(waiting / MARKS);
    const query = `SELECT since, place FROM (
      SELECT since, row_number() OVER (ORDER BY since, job) - 1 AS place
      FROM parked WHERE line = ? AND tenant = ? AND priority = ?
    ) WHERE place % ? = 0 OR place = ?`;
    const rows = sql
      .exec<{ since: number; place: number }>(query, ...at, step, waiting - 1)
      .toArray();
    const marks = rows.flatMap(({ since, place }) => (place % step === 0 ? since : []));
    return { better, waiting, marks, step, newest: rows.at(-1)?.since ?? 0 };
  }

  #read(condition: string, ...bindings: (string | number)[]): Wish[] {
    if (!this.#created()) return [];
    const columns = "line, tenant, priority, since, job, tokens, lasts_ms AS lastsMs";
    const query = `SELECT ${columns} FROM parked ${condition}`;
    const rows = this.#storage.sql.exec<Row>(query, ...bindings).toArray();
    return rows.map(({ line, ...wish }) => Object.assign(wish, { lane: laneOfLine(lineAt(line)) }));
  }

  /** A table of an older version is brought up to date. */
  #created(): boolean {
    if (this.#exists) return true;
    const query = "SELECT 1 FROM sqlite_master WHERE name = 'parked'";
    this.#exists = this.#storage.sql.exec(query).toArray().length > 0;
    if (this.#exists) migrate(this.#storage, MIGRATIONS);
    return this.#exists;
  }
}

function lineAt(at: number): Line {
  return LINES[at] ?? "normal";
}

/** In the order of the columns. */
function keyOf(wish: WishKey): [number, string, number, number, string] {
  const { tenant, priority = UNSAID_PRIORITY, since, job } = wish;
  return [LINES.indexOf(lineOf(wish)), tenant, priority, since, job];
}

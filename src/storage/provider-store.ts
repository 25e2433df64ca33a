import { LANES, type Lane } from "../domain/lane.ts";
import type { ParkedJobs, Wish } from "../domain/permit-desk.ts";
import type { LearnedModels, LimitSetting } from "../domain/provider-limits.ts";
import type { Turn } from "../domain/turns.ts";
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
};

const NO_RULES: ProviderRules = {
  order: { requests: null, tokens: null },
  paused: false,
  learned: {},
  blockedUntil: 0,
  activeUntil: 0,
};

const RULES = "rules";

/**
 * In the order of the turns, by its key alone: a job that is parked is one row in and one row out. `lane` is its place in
 * LANES.
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
];

type Row = { lane: number; tenant: string; since: number; job: string; tokens: number };

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

  add({ lane, tenant, since, job, tokens }: Wish): void {
    if (!this.#exists) migrate(this.#storage, MIGRATIONS);
    this.#exists = true;
    const insert = "INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?, ?)";
    this.#storage.sql.exec(insert, LANES.indexOf(lane), tenant, since, job, tokens);
  }

  remove({ lane, tenant, since, job }: Wish): void {
    this.#storage.sql.exec(
      "DELETE FROM parked WHERE lane = ? AND tenant = ? AND since = ? AND job = ?",
      LANES.indexOf(lane),
      tenant,
      since,
      job,
    );
  }

  first({ lane, tenant }: Turn): Wish | null {
    const condition = "WHERE lane = ? AND tenant = ? ORDER BY since, job LIMIT 1";
    return this.#read(condition, LANES.indexOf(lane), tenant)[0] ?? null;
  }

  /** A seek for each, however many jobs each has. */
  turns(): Turn[] {
    const turns: Turn[] = [];
    let [lane, tenant] = [-1, ""];
    for (;;) {
      const condition = "WHERE (lane, tenant) > (?, ?) ORDER BY lane, tenant LIMIT 1";
      const [next] = this.#read(condition, lane, tenant);
      if (next === undefined) return turns;
      turns.push(next);
      [lane, tenant] = [LANES.indexOf(next.lane), next.tenant];
    }
  }

  /** How many wait in each lane, and when the oldest of all became due. Reads a row for each. */
  waiting(): { parked: Record<Lane, number>; oldestParkedAt: number | null } {
    const parked = { high: 0, normal: 0, low: 0, long: 0 };
    if (!this.#created()) return { parked, oldestParkedAt: null };
    const query = "SELECT lane, count(*) AS jobs, min(since) AS oldest FROM parked GROUP BY lane";
    const rows = this.#storage.sql.exec<{ lane: number; jobs: number; oldest: number }>(query);
    let oldestParkedAt: number | null = null;
    for (const { lane, jobs, oldest } of rows) {
      parked[laneAt(lane)] = jobs;
      oldestParkedAt = Math.min(oldest, oldestParkedAt ?? Infinity);
    }
    return { parked, oldestParkedAt };
  }

  #read(condition: string, ...bindings: (string | number)[]): Wish[] {
    if (!this.#created()) return [];
    const query = `SELECT lane, tenant, since, job, tokens FROM parked ${condition}`;
    const rows = this.#storage.sql.exec<Row>(query, ...bindings).toArray();
    return rows.map((row) => Object.assign(row, { lane: laneAt(row.lane) }));
  }

  #created(): boolean {
    const query = "SELECT 1 FROM sqlite_master WHERE name = 'parked'";
    this.#exists ||= this.#storage.sql.exec(query).toArray().length > 0;
    return this.#exists;
  }
}

function laneAt(at: number): Lane {
  return LANES[at] ?? "normal";
}

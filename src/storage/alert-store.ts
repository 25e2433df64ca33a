/** An alert on its way to the operator. Id and body never change: every attempt carries the same webhook. */
export type Alert = { webhookId: string; body: string; attempts: number };

/** The alerts about the number of open letters; the one that is raised stands until it is lowered. */
export class AlertStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** Whether one is raised, delivered or not. */
  raised(): boolean {
    return this.#sql.exec("SELECT 1 FROM alert WHERE lowered_at IS NULL").toArray().length > 0;
  }

  /** Raises one that is due for delivery at once. */
  raise(webhookId: string, body: string, now: number): void {
    this.#sql.exec("INSERT INTO alert VALUES (?, ?, ?, NULL, 0, ?)", webhookId, body, now, now);
  }

  lower(now: number): void {
    this.#sql.exec("UPDATE alert SET lowered_at = ? WHERE lowered_at IS NULL", now);
  }

  due(now: number): Alert[] {
    return this.#sql
      .exec<Alert>(
        "SELECT webhook_id AS webhookId, body, attempts FROM alert WHERE next_attempt_at <= ?",
        now,
      )
      .toArray();
  }

  /** `nextAttemptAt` null: it is delivered, or given up. */
  save({ webhookId, attempts }: Alert, nextAttemptAt: number | null): void {
    this.#sql.exec(
      "UPDATE alert SET attempts = ?, next_attempt_at = ? WHERE webhook_id = ?",
      attempts,
      nextAttemptAt,
      webhookId,
    );
  }

  /** When the next attempt of any is due, and when the first was lowered that is still kept; null if none. */
  times(): { nextAttemptAt: number | null; firstLoweredAt: number | null } {
    return this.#sql
      .exec<{ nextAttemptAt: number | null; firstLoweredAt: number | null }>(
        `SELECT min(next_attempt_at) AS nextAttemptAt,
           min(CASE WHEN next_attempt_at IS NULL THEN lowered_at END) AS firstLoweredAt FROM alert`,
      )
      .one();
  }

  prune(before: number): void {
    this.#sql.exec("DELETE FROM alert WHERE lowered_at < ? AND next_attempt_at IS NULL", before);
  }
}

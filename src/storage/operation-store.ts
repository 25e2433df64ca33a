import type { Operation, Selection } from "../domain/operation.ts";

/** The operations on dead letters, each a row that outlives restarts. */
export class OperationStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  create({ selection, ...progress }: Operation): void {
    this.#sql.exec(
      "INSERT INTO operation VALUES (?, ?, ?, ?, ?)",
      progress.operationId,
      JSON.stringify(selection),
      ...columnsOf(progress),
    );
  }

  /** Stores how far it has come. What it selects is fixed, and may be a thousand ids. */
  save(operation: Operation): void {
    const { selection: _, ...progress } = operation;
    this.#sql.exec(
      "UPDATE operation SET progress = ?, next_step_at = ?, ended_at = ? WHERE operation_id = ?",
      ...columnsOf(progress),
      progress.operationId,
    );
  }

  read(operationId: string): Operation | null {
    return this.#rows("operation_id = ?", operationId)[0] ?? null;
  }

  /** Those whose next step is due, the longest due first. */
  due(now: number): Operation[] {
    return this.#rows("next_step_at <= ? ORDER BY next_step_at", now);
  }

  /** When the next step of any is due, and when the first ended that is still kept; null if none. */
  times(): { nextStepAt: number | null; firstEndedAt: number | null } {
    return this.#sql
      .exec<{ nextStepAt: number | null; firstEndedAt: number | null }>(
        "SELECT min(next_step_at) AS nextStepAt, min(ended_at) AS firstEndedAt FROM operation",
      )
      .one();
  }

  prune(before: number): void {
    this.#sql.exec("DELETE FROM operation WHERE ended_at < ?", before);
  }

  #rows(condition: string, binding: string | number): Operation[] {
    return this.#sql
      .exec<{ selection: string; progress: string }>(
        `SELECT selection, progress FROM operation WHERE ${condition}`,
        binding,
      )
      .toArray()
      .map(operationOf);
  }
}

function operationOf({ selection, progress }: { selection: string; progress: string }): Operation {
  const rest = JSON.parse(progress) as Omit<Operation, "selection">;
  return { ...rest, selection: JSON.parse(selection) as Selection };
}

function columnsOf(progress: Omit<Operation, "selection">): (string | number | null)[] {
  const { endedAt, nextStepAt } = progress;
  return [JSON.stringify(progress), endedAt === null ? nextStepAt : null, endedAt];
}

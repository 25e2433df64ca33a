import {
  summaryOf,
  type DeadLetter,
  type LetterFilter,
  type LetterGroup,
  type LetterPosition,
  type LetterSummary,
} from "../domain/dead-letter.ts";
import type { Operation, Selection } from "../domain/operation.ts";

/** A letter in the order of their coming. */
export type Placed<T> = T & { id: number };

/** What of a letter may be heavy, and what no list needs. */
type LetterContent = Pick<DeadLetter, "request" | "attempts" | "webhook" | "httpSteps" | "batch">;

/**
 * What became of a letter that is not open any more. `newJobId` null: it was not retried. `jobId` null: its job was
 * deleted, and nothing of it may be told.
 */
type Handled = { jobId: string | null; newJobId: string | null };

/** A row holds 2 MB (platform limit), and a request may be a megabyte before it is written out. */
const PART_BYTES = 1_000_000;

/** Handled letters deleted in one go, so that pruning holds up nobody. */
const PRUNED_AT_ONCE = 10_000;

/** Letters named with each group. */
const SAMPLES = 3;

/** A letter's fields, and its columns. */
const FIELDS = [
  ["dlqId", "dlq_id"],
  ["jobId", "job_id"],
  ["tenant", "tenant"],
  ["tier", "tier"],
  ["model", "model"],
  ["provider", "provider"],
  ["error", "error"],
  ["errorCode", "error_code"],
  ["fingerprint", "fingerprint"],
  ["submittedAt", "submitted_at"],
  ["failedAt", "failed_at"],
  ["attempts", "attempts"],
  ["preview", "preview"],
] as const satisfies [keyof LetterSummary, string][];

const SUMMARY = ["id", ...FIELDS.map(([field, column]) => `${column} AS ${field}`)].join();

/** The open letters, and what remains of those that were dealt with. */
export class DeadLetterStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #depth: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /** How many letters are open. Counted once, then kept in step. */
  depth(): number {
    this.#depth ??= this.count({ filter: {} });
    return this.#depth;
  }

  /** All of `work` is stored, or nothing of it. */
  atomically<T>(work: () => T): T {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#depth = undefined;
      throw error;
    }
  }

  /** Adds the letters that were never there before. */
  add(letters: DeadLetter[]): void {
    this.atomically(() => {
      for (const letter of letters) this.#addOne(letter);
    });
  }

  #addOne(letter: DeadLetter): void {
    if (this.handled(letter.dlqId) !== null) return;
    const depth = this.depth();
    const row = summaryOf(letter);
    const [added] = this.#sql
      .exec<{ id: number }>(
        `INSERT INTO letter (${FIELDS.map(([, column]) => column).join()})
         VALUES (${FIELDS.map(() => "?").join()}) ON CONFLICT (dlq_id) DO NOTHING RETURNING id`,
        ...FIELDS.map(([field]) => row[field]),
      )
      .toArray();
    if (added === undefined) return;
    this.#depth = depth + 1;
    const { request, attempts, webhook, httpSteps, batch } = letter;
    const content = JSON.stringify({ request, attempts, webhook, httpSteps, batch });
    const bytes = new TextEncoder().encode(content);
    for (let part = 0; part * PART_BYTES < bytes.length; part++) {
      const slice = bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES);
      this.#sql.exec("INSERT INTO letter_content VALUES (?, ?, ?)", added.id, part, slice.buffer);
    }
  }

  /** The open letters of the selection, newest failure first, strictly behind `before`. */
  list(
    filter: LetterFilter,
    before: LetterPosition | null,
    limit: number,
  ): Placed<LetterSummary>[] {
    const { sql, bindings } = conditionOf({ filter });
    const position = before ?? { failedAt: Number.MAX_SAFE_INTEGER, id: 0 };
    return this.#sql
      .exec<Placed<LetterSummary>>(
        `SELECT ${SUMMARY} FROM letter WHERE ${sql} AND (failed_at, id) < (?, ?)
         ORDER BY failed_at DESC, id DESC LIMIT ?`,
        ...bindings,
        position.failedAt,
        position.id,
        limit,
      )
      .toArray();
  }

  count(selection: Selection): number {
    const { sql, bindings } = conditionOf(selection);
    return this.#sql
      .exec<{ count: number }>(`SELECT count(*) AS count FROM letter WHERE ${sql}`, ...bindings)
      .one().count;
  }

  /** The letters by the way they failed, the most frequent first. */
  groups(filter: LetterFilter): LetterGroup[] {
    const { sql, bindings } = conditionOf({ filter });
    type Row = Omit<LetterGroup, "models" | "sampleDlqIds"> & { models: string };
    const rows = this.#sql.exec<Row>(
      `SELECT fingerprint, error_code AS errorCode, error, provider, count(*) AS count,
         json_group_array(DISTINCT model) AS models, count(DISTINCT tenant) AS tenants,
         min(failed_at) AS firstFailedAt, max(failed_at) AS lastFailedAt
       FROM letter WHERE ${sql} GROUP BY fingerprint ORDER BY count DESC, lastFailedAt DESC`,
      ...bindings,
    );
    return rows.toArray().map((row) => {
      const samples = this.list({ ...filter, fingerprint: row.fingerprint }, null, SAMPLES);
      const models = (JSON.parse(row.models) as string[]).toSorted();
      return Object.assign(row, { models, sampleDlqIds: samples.map(({ dlqId }) => dlqId) });
    });
  }

  /** An open letter with its fingerprint and preview, whole; null if it is not open. */
  read(dlqId: string): (DeadLetter & Pick<LetterSummary, "fingerprint" | "preview">) | null {
    const [row] = this.#sql
      .exec<Placed<LetterSummary>>(`SELECT ${SUMMARY} FROM letter WHERE dlq_id = ?`, dlqId)
      .toArray();
    if (row === undefined) return null;
    const { id, ...summary } = row;
    return { ...summary, ...this.#content(id) };
  }

  #content(letter: number): LetterContent {
    const parts = this.#sql.exec<{ bytes: ArrayBuffer }>(
      "SELECT bytes FROM letter_content WHERE letter = ? ORDER BY part",
      letter,
    );
    const decoder = new TextDecoder();
    let json = "";
    for (const { bytes } of parts) json += decoder.decode(bytes, { stream: true });
    return JSON.parse(json + decoder.decode()) as LetterContent;
  }

  /** The next open letters an operation has to deal with, in the order of their coming. `bytes`: of their content. */
  next(
    { selection, cursor, lastLetter }: Pick<Operation, "selection" | "cursor" | "lastLetter">,
    limit: number,
  ): Placed<{ dlqId: string; bytes: number }>[] {
    const { sql, bindings } = conditionOf(selection);
    return this.#sql
      .exec<Placed<{ dlqId: string; bytes: number }>>(
        `SELECT id, dlq_id AS dlqId,
           (SELECT sum(length(bytes)) FROM letter_content WHERE letter = letter.id) AS bytes
         FROM letter WHERE ${sql} AND id > ? AND id <= ? ORDER BY id LIMIT ?`,
        ...bindings,
        cursor,
        lastLetter,
        limit,
      )
      .toArray();
  }

  /** The id of the letter that came last; 0 if there is none. */
  lastLetter(): number {
    return this.#sql.exec<{ id: number }>("SELECT coalesce(max(id), 0) AS id FROM letter").one().id;
  }

  /**
   * Takes a letter off the list; false if it is not open. A late message will not bring it back. One that was discarded
   * while its new job was being submitted still ends with that job's id; one whose job was deleted does not.
   */
  close(dlqId: string, newJobId: string | null, now: number): boolean {
    return this.atomically(() => {
      const letter = this.#delete(dlqId);
      if (letter !== null) {
        const mark = [dlqId, letter.jobId, newJobId, now];
        this.#sql.exec("INSERT INTO handled_letter VALUES (?, ?, ?, ?)", ...mark);
      } else if (newJobId !== null) {
        this.#sql.exec(
          `UPDATE handled_letter SET new_job_id = ?, handled_at = ?
           WHERE dlq_id = ? AND job_id IS NOT NULL AND new_job_id IS NULL`,
          newJobId,
          now,
          dlqId,
        );
      }
      return letter !== null;
    });
  }

  /** Deletes a letter, whether it is open, was dealt with or is still to come: only that its id is used remains. */
  forget(dlqId: string, now: number): void {
    this.atomically(() => {
      this.#delete(dlqId);
      this.#sql.exec("INSERT OR REPLACE INTO handled_letter VALUES (?, NULL, NULL, ?)", dlqId, now);
    });
  }

  #delete(dlqId: string): Placed<{ jobId: string }> | null {
    const depth = this.depth();
    const [letter] = this.#sql
      .exec<Placed<{ jobId: string }>>(
        "DELETE FROM letter WHERE dlq_id = ? RETURNING id, job_id AS jobId",
        dlqId,
      )
      .toArray();
    if (letter === undefined) return null;
    this.#sql.exec("DELETE FROM letter_content WHERE letter = ?", letter.id);
    this.#depth = depth - 1;
    return letter;
  }

  handled(dlqId: string): Handled | null {
    const [row] = this.#sql
      .exec<Handled>(
        "SELECT job_id AS jobId, new_job_id AS newJobId FROM handled_letter WHERE dlq_id = ?",
        dlqId,
      )
      .toArray();
    return row ?? null;
  }

  /** When the first letter was dealt with of which something remains; null if nothing does. */
  firstHandledAt(): number | null {
    return this.#sql
      .exec<{ at: number | null }>("SELECT min(handled_at) AS at FROM handled_letter")
      .one().at;
  }

  /** Deletes what remains of letters dealt with before `before`, the oldest first and not all at once. */
  prune(before: number): void {
    this.#sql.exec(
      `DELETE FROM handled_letter WHERE dlq_id IN
         (SELECT dlq_id FROM handled_letter WHERE handled_at < ? ORDER BY handled_at LIMIT ?)`,
      before,
      PRUNED_AT_ONCE,
    );
  }
}

/** The columns a filter may ask for; the query is built of these names and of nothing that was sent. */
const COLUMNS = {
  errorCode: "error_code = ?",
  model: "model = ?",
  tenant: "tenant = ?",
  fingerprint: "fingerprint = ?",
  failedBefore: "failed_at < ?",
} as const satisfies Record<keyof LetterFilter, string>;

function conditionOf(selection: Selection): { sql: string; bindings: (string | number)[] } {
  if ("ids" in selection) {
    // As one value, because a statement takes a hundred (platform limit).
    return {
      sql: "dlq_id IN (SELECT value FROM json_each(?))",
      bindings: [JSON.stringify(selection.ids)],
    };
  }
  const terms = ["TRUE"];
  const bindings: (string | number)[] = [];
  for (const [name, term] of Object.entries(COLUMNS)) {
    const wanted = selection.filter[name as keyof LetterFilter];
    if (wanted === undefined) continue;
    terms.push(term);
    bindings.push(wanted);
  }
  return { sql: terms.join(" AND "), bindings };
}

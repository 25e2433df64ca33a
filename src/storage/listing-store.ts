import {
  mergeNewest,
  type Listing,
  type ListingKey,
  type ListingPosition,
  type ListingQuery,
  type ListingStatus,
  type StoredListing,
} from "../domain/listing.ts";

/** Rows read at a time of each run that is merged: few, since mostly few of a run are wanted. */
const RUN_PAGE = 16;

const COLUMNS = "job_id AS jobId, status, model, submitted_at AS submittedAt, view AS json";

/** An entry of this key, in whichever status: four seeks in the primary key. */
const OF_KEY = `status IN ('open', 'completed', 'failed', 'cancelled')
  AND model = ? AND submitted_at = ? AND job_id = ?`;

/**
 * A shard's entries, one row each, in the order in which they are listed: status and model first, so that
 * every combination of filters is a merge of a few ordered runs, and no second index is written and paid for.
 * Reading from a shard that holds nothing creates nothing.
 */
export class ListingStore {
  readonly #sql: SqlStorage;
  #exists = false;

  constructor({ sql }: Pick<DurableObjectStorage, "sql">) {
    this.#sql = sql;
  }

  /** Writes one row, or none if nothing changed or the entry has ended and would be opened again. */
  put({ view, ...listing }: Listing): void {
    this.#create();
    const json = JSON.stringify(view);
    const { jobId, status, model, submittedAt } = listing;
    const known = this.#find(listing);
    if (known === undefined) {
      const insert = "INSERT INTO listing VALUES (?, ?, ?, ?, ?)";
      this.#sql.exec(insert, status, model, submittedAt, jobId, json);
      return;
    }
    if (status === "open" && known.status !== "open") return;
    if (status === known.status && json === known.json) return;
    // Moving a row is billed as one, where deleting and inserting it would be two.
    this.#sql.exec(
      `UPDATE listing SET status = ?, view = ?
       WHERE status = ? AND model = ? AND submitted_at = ? AND job_id = ?`,
      status,
      json,
      known.status,
      model,
      submittedAt,
      jobId,
    );
  }

  remove({ jobId, model, submittedAt }: ListingKey): void {
    if (!this.#created()) return;
    this.#sql.exec(`DELETE FROM listing WHERE ${OF_KEY}`, model, submittedAt, jobId);
  }

  list(query: ListingQuery): StoredListing[] {
    if (!this.#created()) return [];
    const runs = query.statuses.flatMap((status) => {
      const models = query.model === null ? this.#models(status) : [query.model];
      return models.map((model) => this.#run(status, model, query));
    });
    return mergeNewest(runs, query.limit);
  }

  #find({ jobId, model, submittedAt }: ListingKey): StoredListing | undefined {
    const query = `SELECT ${COLUMNS} FROM listing WHERE ${OF_KEY}`;
    return this.#sql.exec<StoredListing>(query, model, submittedAt, jobId).toArray()[0];
  }

  /** The models that occur, by one seek for each and not by reading their entries. */
  #models(status: ListingStatus): string[] {
    const query = `
      WITH RECURSIVE present (model) AS (
        SELECT min(model) FROM listing WHERE status = ?1
        UNION ALL
        SELECT (SELECT min(model) FROM listing WHERE status = ?1 AND model > present.model)
        FROM present WHERE present.model IS NOT NULL
      )
      SELECT model FROM present WHERE model IS NOT NULL`;
    return this.#sql
      .exec<{ model: string }>(query, status)
      .toArray()
      .map(({ model }) => model);
  }

  /** The entries of one status and model, a page at a time: a statement left half read would hold its snapshot open. */
  *#run(status: ListingStatus, model: string, query: ListingQuery): Iterable<StoredListing> {
    let before: ListingPosition | null = query.before;
    const width = Math.min(RUN_PAGE, query.limit);
    for (;;) {
      const page: StoredListing[] = this.#sql
        .exec<StoredListing>(
          `SELECT ${COLUMNS} FROM listing
           WHERE status = ? AND model = ? AND (submitted_at, job_id) < (?, ?) AND submitted_at > ?
           ORDER BY submitted_at DESC, job_id DESC LIMIT ?`,
          status,
          model,
          before?.submittedAt ?? Infinity,
          before?.jobId ?? "",
          query.createdAfter ?? -Infinity,
          width,
        )
        .toArray();
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < width) return;
      before = last;
    }
  }

  #create(): void {
    if (this.#created()) return;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS listing (
        status TEXT NOT NULL,
        model TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        job_id TEXT NOT NULL,
        view TEXT NOT NULL,
        PRIMARY KEY (status, model, submitted_at, job_id)
      ) WITHOUT ROWID`);
    this.#exists = true;
  }

  #created(): boolean {
    const find = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'listing'";
    this.#exists ||= this.#sql.exec(find).toArray().length > 0;
    return this.#exists;
  }
}

/**
 * The tables of the ledger of dead letters, numbered by their place (docs/storage.md).
 *
 * AUTOINCREMENT, because an operation takes the letters up to an id: that of a letter that is gone must not come again.
 * What may be heavy is in a table of its own, so lists and counts touch light rows only.
 */
export const DEAD_LETTER_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dlq_id TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    tier TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    error TEXT NOT NULL,
    error_code TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    submitted_at INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    preview TEXT NOT NULL
  );
  CREATE INDEX letter_by_failure ON letter (failed_at);
  CREATE INDEX letter_by_fingerprint ON letter (fingerprint, failed_at);

  CREATE TABLE letter_content (
    letter INTEGER NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (letter, part)
  ) WITHOUT ROWID;

  CREATE TABLE handled_letter (
    dlq_id TEXT PRIMARY KEY,
    job_id TEXT,
    new_job_id TEXT,
    handled_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX handled_letter_by_time ON handled_letter (handled_at);

  CREATE TABLE operation (
    operation_id TEXT PRIMARY KEY,
    selection TEXT NOT NULL,
    progress TEXT NOT NULL,
    next_step_at INTEGER,
    ended_at INTEGER
  ) WITHOUT ROWID;

  CREATE TABLE alert (
    webhook_id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    lowered_at INTEGER,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER
  ) WITHOUT ROWID;
  `,
];

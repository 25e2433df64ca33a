/**
 * An account's tables, in the order in which they were changed. Append-only.
 *
 * Both are their own index: a second one would be a second row for every charge. `settled` comes first, since what is
 * open is looked for by itself; moving a row on is billed as one. No user is '', for no user is called that;
 * a submission '' is the job's own.
 */
export const ACCOUNT_MIGRATIONS = [
  `CREATE TABLE charge (
    settled INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    uid TEXT NOT NULL,
    job TEXT NOT NULL,
    model TEXT NOT NULL,
    user TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    ask_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    wasted INTEGER NOT NULL,
    submission TEXT NOT NULL,
    PRIMARY KEY (settled, submitted_at, uid)
  ) WITHOUT ROWID;
  CREATE TABLE day_sum (
    day INTEGER NOT NULL,
    model TEXT NOT NULL,
    user TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    wasted INTEGER NOT NULL,
    PRIMARY KEY (day, model, user)
  ) WITHOUT ROWID`,
];

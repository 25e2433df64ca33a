const VERSION = "version";

/**
 * Brings an object's tables up to date: runs what of `migrations` has not run yet, each once and whole or not at all.
 * The list is append-only; a migration that has been deployed is never changed.
 */
export function migrate(storage: DurableObjectStorage, migrations: readonly string[]): void {
  const version = storage.kv.get<number>(VERSION) ?? 0;
  for (const [at, migration] of migrations.entries()) {
    if (at < version) continue;
    storage.transactionSync(() => {
      storage.sql.exec(migration);
      storage.kv.put(VERSION, at + 1);
    });
  }
}

/** Counts what a run has written, as the platform bills it. */

export interface WriteCounts {
  /** Rows that SQL wrote, those of its indexes included. */
  rows: number;
  alarmsSet: number;
  alarmsCleared: number;
}

/** A storage that counts into `counts` what passes through it. It has what the journal and the run object use. */
export function countingStorage(storage: DurableObjectStorage, counts: WriteCounts): DurableObjectStorage {
  const sql = {
    exec: (query: string, ...bindings: unknown[]) => {
      const cursor = storage.sql.exec(query, ...bindings);
      counts.rows += cursor.rowsWritten;
      return cursor;
    },
  };
  const counted = {
    sql,
    getAlarm: () => storage.getAlarm(),
    setAlarm: (at: number) => {
      counts.alarmsSet++;
      return storage.setAlarm(at);
    },
    deleteAlarm: () => {
      counts.alarmsCleared++;
      return storage.deleteAlarm();
    },
    transactionSync: <T>(action: () => T) => storage.transactionSync(action),
  };
  return counted as unknown as DurableObjectStorage;
}

/** A database that tells each batch's written rows. */
export function countingDatabase(database: D1Database, wrote: (rows: number) => void): D1Database {
  const counted = {
    prepare: (sql: string) => database.prepare(sql),
    batch: async (statements: D1PreparedStatement[]) => {
      const results = await database.batch(statements);
      for (const result of results) wrote(result.meta.rows_written);
      return results;
    },
  };
  return counted as unknown as D1Database;
}

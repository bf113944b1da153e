/** Counts what a run does that the platform bills. */

export interface RunCounts {
  /** Rows that SQL wrote and read, those of its indexes included. */
  rowsWritten: number;
  rowsRead: number;
  alarmsSet: number;
  alarmsCleared: number;
  /** Calls to the object, its alarms included. */
  requests: number;
  /** How long at least one of them was under way, in ms. */
  activeMs: number;
  storedBytes: number;
}

export function noCounts(): RunCounts {
  return { rowsWritten: 0, rowsRead: 0, alarmsSet: 0, alarmsCleared: 0, requests: 0, activeMs: 0, storedBytes: 0 };
}

/** A storage that counts into `counts` what passes through it. It has what the journal and the run object use. */
export function countingStorage(storage: DurableObjectStorage, counts: RunCounts): DurableObjectStorage {
  const sql = {
    exec: (query: string, ...bindings: unknown[]) => {
      const cursor = storage.sql.exec(query, ...bindings);
      const rows = cursor.toArray();
      counts.rowsWritten += cursor.rowsWritten;
      counts.rowsRead += cursor.rowsRead;
      counts.storedBytes = storage.sql.databaseSize;
      return { toArray: () => rows, one: () => rows[0] };
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

/** Has every call to objects of a class counted, and the time that they take. */
export function countCalls(prototype: object, upTo: object, countsOf: (object: object) => RunCounts): void {
  const active = new WeakMap<object, { calls: number; since: number }>();
  for (let from = Object.getPrototypeOf(prototype); from !== upTo; from = Object.getPrototypeOf(from)) {
    for (const [name, { value: method }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (name === "constructor" || typeof method !== "function" || Object.hasOwn(prototype, name)) continue;
      Object.defineProperty(prototype, name, {
        value: async function (this: object, ...parameters: unknown[]): Promise<unknown> {
          const now = active.get(this) ?? { calls: 0, since: 0 };
          active.set(this, now);
          const counts = countsOf(this);
          counts.requests++;
          if (now.calls++ === 0) now.since = Date.now();
          try {
            return await method.apply(this, parameters);
          } finally {
            if (--now.calls === 0) counts.activeMs += Date.now() - now.since;
          }
        },
      });
    }
  }
}

/** A database that tells of each batch. */
export function countingDatabase(database: D1Database, wrote: (rows: { readonly written: number; readonly read: number }) => void): D1Database {
  const counted = {
    prepare: (sql: string) => database.prepare(sql),
    batch: async (statements: D1PreparedStatement[]) => {
      const results = await database.batch(statements);
      for (const { meta } of results) wrote({ written: meta.rows_written, read: meta.rows_read });
      return results;
    },
  };
  return counted as unknown as D1Database;
}

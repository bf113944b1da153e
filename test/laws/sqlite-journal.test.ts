import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { SqliteJournal } from "#objects/sqlite-journal.ts";
import { journalLaws } from "./journal.ts";

let stores = 0;

journalLaws((use) => {
  const stub = env.RUNS.get(env.RUNS.idFromName(`journal-laws-${stores++}`));
  return runInDurableObject(stub, (_object, state) => {
    use({
      journal: new SqliteJournal(state.storage),
      reopen: () => new SqliteJournal(state.storage),
      size: () => state.storage.sql.databaseSize + state.storage.sql.exec("SELECT name FROM sqlite_master").toArray().length,
    });
  });
});

test("a journal of 0.1.0 is read as it was, and gone on with", async () => {
  const stub = env.RUNS.get(env.RUNS.idFromName("journal-of-0.1.0"));
  await runInDurableObject(stub, (_object, { storage }) => {
    const large = "x".repeat(5000);
    const huge = ["y".repeat(300_000), "z".repeat(300_000)];
    storage.sql.exec(layoutOf1);
    const insert = (...row: (string | number | null)[]): void => void storage.sql.exec("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", ...row);
    insert(1, 10, "run.created", '{"namespace":"default","attributes":{"ü":1.5},"deadlineAt":null}', null, '["in\\"put"]');
    insert(2, 20, "run.blocked", '{"reason":"stalled","message":"m"}', null, null);
    insert(3, 30, "event.received", '{"eventId":"e","name":"n","eventKey":null}', null, large);
    insert(4, 40, "event.received", '{"eventId":"f","name":"n","eventKey":null}', 2, null);
    huge.forEach((part, index) => void storage.sql.exec("INSERT INTO chunk VALUES (4, ?, ?)", index, part));

    const entries = new SqliteJournal(storage).load();
    expect(entries).toEqual([
      { seq: 1, at: 10, kind: "run.created", namespace: "default", attributes: { ü: 1.5 }, deadlineAt: null, value: '["in\\"put"]' },
      { seq: 2, at: 20, kind: "run.blocked", reason: "stalled", message: "m", value: null },
      { seq: 3, at: 30, kind: "event.received", eventId: "e", name: "n", eventKey: null, value: null, valueOmitted: true },
      { seq: 4, at: 40, kind: "event.received", eventId: "f", name: "n", eventKey: null, value: null, valueOmitted: true },
    ]);
    const journal = new SqliteJournal(storage);
    expect([journal.value(1), journal.value(3), journal.value(4), journal.indexedSeq()]).toEqual(['["in\\"put"]', large, huge.join(""), 7]);
    expect(journal.append([{ kind: "run.unblocked", at: 50 }])).toBe(5);
    expect(new SqliteJournal(storage).load()).toHaveLength(5);
  });
});

const layoutOf1 = `
CREATE TABLE journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, chunks INTEGER, value TEXT);
CREATE TABLE chunk (seq INTEGER NOT NULL, part INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (seq, part)) WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), schema_version INTEGER NOT NULL, indexed_seq INTEGER NOT NULL);
INSERT INTO head VALUES (1, 1, 7);
`;

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
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

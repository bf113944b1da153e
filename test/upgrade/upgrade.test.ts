import { env } from "cloudflare:workers";
import { workflow } from "segno";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Recorded, RunEnded } from "#core/entry.ts";
import { decode } from "#core/value.ts";
import type { Feature } from "../golden/feature.ts";
import { features } from "../golden/features.ts";
import { type History, historyOf } from "../golden/history.ts";
import { advance, alarmOf, api, days, evict, minutes, run, setUpWorld, start, until, withRun } from "../stories/story.ts";
import { clock, deploy, undeploy } from "../world.ts";

/**
 * Deployments with runs in flight, on real objects.
 *
 * From old to new: the golden journals of each version are put into tables as that version laid them out, cut off where a deployment could have caught
 * them, and today's code finds them by their alarm. (`test/golden` goes on from every commit of every feature, in memory; here it is the storage and the object that count.)
 *
 * From new to old, as when a deployment is taken back: the newer code does not exist yet, so it is stood in for by what it would leave behind, an entry of a kind
 * or a layout that today's code does not know. Today's code must keep its hands off such a run, say so in a way that is tried again, and go on when the run is readable
 * to it: so the old code of the next upgrade is tested before there is a new one.
 *
 * Real builds of both sides are in builds.test.ts.
 */

beforeAll(setUpWorld);

let deployed: Parameters<typeof undeploy>[0][] = [];
afterEach(() => {
  for (const definition of deployed) undeploy(definition);
  deployed = [];
});

function deployForNow(...definitions: typeof deployed): void {
  deploy(...definitions);
  deployed.push(...definitions);
}

const files = import.meta.glob("../golden/*/*.jsonl", { query: "?raw", import: "default", eager: true });
const histories = Object.entries(files).map(([path, text]) => historyOf(path.split("/").at(-2) ?? "", text));
const playable = histories.flatMap((history) => {
  const feature = features.find((it) => it.name === history.feature);
  // Those that need nobody outside, and in which nothing hangs.
  return feature && !feature.outside && !feature.from && feature.name !== "timeouts"
    ? [{ feature, history, title: `${history.feature} of ${history.version}` }]
    : [];
});

/** How each version lays a journal out in tables, commit by commit. */
const layouts: Readonly<Record<string, (sql: SqlStorage, commits: readonly (readonly Recorded[])[]) => void>> = {
  "0.1.0": (sql, commits) => {
    sql.exec(`
      CREATE TABLE journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, chunks INTEGER, value TEXT);
      CREATE TABLE chunk (seq INTEGER NOT NULL, part INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (seq, part)) WITHOUT ROWID;
      CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), schema_version INTEGER NOT NULL, indexed_seq INTEGER NOT NULL);
      INSERT INTO head VALUES (1, 1, 0)`);
    for (const { seq, at, kind, ...more } of commits.flat()) {
      const { value = null, ...body } = more as { value?: string | null };
      sql.exec("INSERT INTO journal VALUES (?, ?, ?, ?, NULL, ?)", seq, at, kind, JSON.stringify(body), value);
    }
  },
  // A row for each commit; an entry with a value of over 4 KiB has one of its own, and the value beside it.
  "0.2.0": (sql, commits) => {
    sql.exec("CREATE TABLE journal (seq INTEGER PRIMARY KEY, entries TEXT NOT NULL, chunks INTEGER, value TEXT)");
    const insert = (entries: readonly Recorded[], value: string | null): void => {
      if (entries[0]) sql.exec("INSERT INTO journal VALUES (?, ?, NULL, ?)", entries[0].seq, JSON.stringify(entries), value);
    };
    for (const commit of commits) {
      let row: Recorded[] = [];
      for (const entry of commit) {
        const value = "value" in entry ? entry.value : null;
        if (value === null || value.length <= 4096) row.push(entry);
        else {
          insert(row, null);
          insert([{ ...entry, value: null } as Recorded], value);
          row = [];
        }
      }
      insert(row, null);
    }
  },
};

let runs = 0;

/** Puts a run into an object as a version left it a moment ago, with its alarm, and nothing in memory. */
async function leave(history: History, commits: number): Promise<string> {
  const id = `from-${history.version}-${++runs}`;
  const taken = history.commits.slice(0, commits);
  const since = clock.now() - Math.max(...taken.flat().map((entry) => entry.at));
  const times = new Set(["at", "startAt", "deadlineAt", "lateAt", "wakeAt", "retryAt"]);
  const moved: Recorded[][] = JSON.parse(JSON.stringify(taken), (name, value) => (times.has(name) && value !== null ? value + since : value));
  const renamed = moved.map((entries) => entries.map((entry) => (entry.kind === "run.created" ? { ...entry, runId: id } : entry)));
  await withRun(id, async ({ storage }) => {
    storage.transactionSync(() => layouts[history.version]?.(storage.sql, renamed));
    await storage.setAlarm(clock.now());
  });
  return id;
}

function definitionsOf(feature: Feature) {
  const { workflows, automations = [] } = feature.define(async (_step, answer) => {
    await env.MOCK_SAAS.fetch("http://effects/", { method: "POST", body: "{}" });
    return answer();
  });
  return [...workflows, ...automations];
}

describe("a run that an earlier version began", () => {
  test.each(playable)(
    "goes on after the upgrade, from its start, its middle and just before its end: $title",
    async ({ feature, history }) => {
      deployForNow(...definitionsOf(feature));
      const end = history.commits.flat().at(-1) as RunEnded;
      const cuts = [...new Set([1, Math.ceil(history.commits.length / 2), history.commits.length - 1])];
      const ids = await Promise.all(cuts.map((cut) => leave(history, cut)));
      await advance(0);
      for (let rounds = 0; rounds < 20 && (await Promise.all(ids.map(run))).some((it) => it.status !== end.status); rounds++) await advance(days(1));
      for (const id of ids) {
        const done = await until(id, end.status);
        expect(done.reason?.code ?? null).toBe(end.reason ?? (end.status === "failed" ? (end.failedKey ? "step_failed" : "workflow_failed") : null));
        if (end.status === "completed") expect(done.output).toEqual(JSON.parse(JSON.stringify(decode(end.value ?? ""), bigintAsText) ?? "null"));
      }
    },
    60_000,
  );
});

function bigintAsText(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

const waits = workflow({
  name: "upgraded",
  run: async ({ step }) => [
    await step.do("a", () => "a"),
    await step.waitForEvent("go").then((event) => event.ok && event.payload),
    await step.sleep("nap", "1h"),
  ],
});

/** What a newer version may leave behind, and how the run is put right as by that version's coming back. */
const leftBehind: Readonly<Record<string, { readonly leave: (sql: SqlStorage) => void; readonly mend: (sql: SqlStorage) => void }>> = {
  "an entry of a kind that is not known": {
    leave: (sql) => {
      const [{ seq = 0 } = {}] = sql.exec<{ seq: number }>("SELECT max(seq) + json_array_length(entries) AS seq FROM journal").toArray();
      sql.exec("INSERT INTO journal (seq, entries) VALUES (?, ?)", seq, JSON.stringify([{ kind: "step.foretold", at: clock.now(), key: "a" }]));
    },
    mend: (sql) => void sql.exec("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)"),
  },
  "an entry about the run of a kind that is not known": {
    leave: (sql) => {
      const [{ seq = 0 } = {}] = sql.exec<{ seq: number }>("SELECT max(seq) + json_array_length(entries) AS seq FROM journal").toArray();
      sql.exec("INSERT INTO journal (seq, entries) VALUES (?, ?)", seq, JSON.stringify([{ kind: "run.moved", at: clock.now() }]));
    },
    mend: (sql) => void sql.exec("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)"),
  },
  "a layout that is not known": {
    leave: (sql) =>
      void sql.exec("CREATE TABLE layout (version INTEGER NOT NULL); INSERT INTO layout VALUES (99); ALTER TABLE journal RENAME TO journal_of_99"),
    mend: (sql) => void sql.exec("DROP TABLE layout; ALTER TABLE journal_of_99 RENAME TO journal"),
  },
};

describe("a run that a newer version has worked on", () => {
  test.each(Object.entries(leftBehind))(
    "is left alone when the deployment is taken back, and goes on with the newer one: %s",
    async (_title, { leave: leaves, mend }) => {
      deployForNow(waits);
      const id = await start("upgraded", null);
      await until(id, "waiting");
      await evict();
      await withRun(id, ({ storage }) => leaves(storage.sql));
      await evict();
      const before = await everythingStored(id);

      // Everything that is asked of it is refused in a way that tells to come back, and its alarm keeps trying.
      for (const [method, path] of [
        ["GET", ""],
        ["GET", "/steps"],
        ["POST", "/events/go"],
        ["POST", "/cancel"],
      ] as const) {
        const answer = await api(method, `/v1/runs/${id}${path}`, method === "POST" ? {} : undefined);
        expect([answer.status, answer.body.code, answer.headers.get("retry-after")]).toEqual([503, "newer_version", "60"]);
      }
      expect((await api("POST", "/v1/workflows/upgraded/runs", { id, input: null })).body.code).toBe("newer_version");
      await withRun(id, ({ storage }) => storage.setAlarm(clock.now()));
      await advance(minutes(5));
      expect(await alarmOf(env.RUNS.getByName(`default:${id}`))).toBeGreaterThan(clock.now());
      expect(await everythingStored(id)).toEqual(before);

      await withRun(id, ({ storage }) => mend(storage.sql));
      expect((await api("POST", `/v1/runs/${id}/events/go`, { payload: "gone" })).status).toBe(202);
      await advance(minutes(61));
      expect((await until(id, "completed")).output).toEqual(["a", "gone", null]);
    },
  );
});

/** Every row of every table of the run's own. */
function everythingStored(id: string): Promise<unknown> {
  return withRun(id, ({ storage: { sql } }) => {
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray();
    return tables.map(({ name }) => [name, sql.exec(`SELECT * FROM ${name}`).toArray()]);
  });
}

import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { RunSummary } from "#core/run.ts";
import { projectSummaries } from "#visibility/project.ts";
import { searchRuns } from "#visibility/search.ts";
import { newNamespace, openIndex, replacing, runSummary } from "./index-db.ts";

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

async function runsOf(namespace: string): Promise<readonly RunSummary[]> {
  return (await searchRuns(db, { namespace, limit: 200 })).runs;
}

async function attributeRowsOf(namespace: string): Promise<unknown[]> {
  const rows = await db.prepare("SELECT run_id, name, kind, value FROM run_attributes WHERE namespace = ? ORDER BY run_id, name").bind(namespace).all();
  return rows.results.map((row) => Object.values(row));
}

/** The index, and the rows that each statement of its batches wrote. */
function countingWrites(): { readonly counted: D1Database; readonly rowsWritten: () => number } {
  let rowsWritten = 0;
  const batch = async (statements: D1PreparedStatement[]): Promise<D1Result[]> => {
    const results = await db.batch(statements);
    for (const result of results) rowsWritten += result.meta.rows_written;
    return results;
  };
  return { counted: replacing(db, { batch }), rowsWritten: () => rowsWritten };
}

test("everything a summary says is found again as it was sent", async () => {
  const namespace = newNamespace();
  const failed = runSummary({
    namespace,
    id: "failed",
    status: "failed",
    reason: { code: "timeout", message: "It took longer than its time-out.", step: "charge#2", until: 1_700_000_000_123 },
    step: "charge#2",
    attributes: { customer: 'Ärzte & "Söhne" GmbH, 100% \\ 日本 🎼', amount: 12.5, large: 2 ** 60, vip: true, churned: false, one: 1 },
    trigger: "schedule:nightly",
    endedAt: 1_700_000_002_000,
    error: { name: "TimeoutError", message: "line one\nline 'two'", code: "ETIMEDOUT" },
    seq: 41,
  });
  const sleeping = runSummary({ namespace, id: "sleeping", createdAt: 1_600_000_000_000, reason: null, step: null, nextWakeAt: 1_800_000_000_000 });
  const odd = runSummary({
    namespace,
    id: "odd",
    createdAt: 1_500_000_000_000,
    attributes: { note: "nul \u0000 and half \ud800" },
    error: { name: "E", message: "", code: null },
  });

  await projectSummaries(db, [failed, sleeping, odd]);

  expect(await runsOf(namespace)).toEqual([failed, sleeping, odd]);
});

test("an older summary that arrives late never overwrites a newer one", async () => {
  const namespace = newNamespace();
  const older = runSummary({ namespace, id: "run", status: "waiting", attributes: { tier: "smb", draft: true }, seq: 3 });
  const newer = runSummary({ namespace, id: "run", status: "completed", attributes: { tier: "enterprise" }, endedAt: 1_700_000_009_000, seq: 4 });

  await projectSummaries(db, [newer]);
  await projectSummaries(db, [older]);

  expect(await runsOf(namespace)).toEqual([newer]);
  expect(await attributeRowsOf(namespace)).toEqual([["run", "tier", "text", "enterprise"]]);
});

test("of two summaries of one run in one batch the newer wins, in whichever order they stand", async () => {
  const namespace = newNamespace();
  const summaries = ["first", "second"].map((id) => [
    runSummary({ namespace, id, attributes: { amount: 1, gone: "yes" }, seq: 1 }),
    runSummary({ namespace, id, status: "paused", attributes: { amount: 2 }, seq: 2 }),
  ]);

  await projectSummaries(db, [...(summaries[0] ?? []), ...(summaries[1] ?? []).toReversed()]);

  expect((await runsOf(namespace)).map((run) => [run.id, run.status])).toEqual([
    ["second", "paused"],
    ["first", "paused"],
  ]);
  expect(await attributeRowsOf(namespace)).toEqual([
    ["first", "amount", "number", 2],
    ["second", "amount", "number", 2],
  ]);
});

test("a summary that arrives twice changes nothing and writes no row", async () => {
  const namespace = newNamespace();
  const summary = runSummary({ namespace, id: "run", attributes: { customer: "acme", amount: 5, vip: true } });
  await projectSummaries(db, [summary]);
  const { counted, rowsWritten } = countingWrites();

  await projectSummaries(counted, [summary, summary]);

  expect(rowsWritten()).toBe(0);
  expect(await runsOf(namespace)).toEqual([summary]);
});

test("attributes that a newer summary changes or drops are no longer found by their old value", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [runSummary({ namespace, id: "run", attributes: { tier: "smb", vip: true, amount: 2 ** 60 } })]);

  await projectSummaries(db, [runSummary({ namespace, id: "run", attributes: { tier: "enterprise" }, seq: 2 })]);
  expect(await attributeRowsOf(namespace)).toEqual([["run", "tier", "text", "enterprise"]]);

  await projectSummaries(db, [runSummary({ namespace, id: "run", seq: 3 })]);
  expect(await attributeRowsOf(namespace)).toEqual([]);
});

test("the same id in two namespaces is two runs", async () => {
  const [mine, yours] = [newNamespace(), newNamespace()];

  await projectSummaries(db, [
    runSummary({ namespace: mine, id: "run", attributes: { tier: "smb" }, seq: 9 }),
    runSummary({ namespace: yours, id: "run", attributes: { tier: "enterprise" }, status: "paused" }),
  ]);

  expect((await runsOf(mine)).map((run) => run.status)).toEqual(["waiting"]);
  expect((await runsOf(yours)).map((run) => run.status)).toEqual(["paused"]);
  expect(await attributeRowsOf(mine)).toEqual([["run", "tier", "text", "smb"]]);
});

test("whatever the order, the batches and the repeats, the index ends with the newest summary of each run", async () => {
  const arrivals = fc.array(fc.record({ run: fc.nat(2), seq: fc.integer({ min: 1, max: 6 }), endsBatch: fc.boolean() }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(arrivals, async (arriving) => {
      const namespace = newNamespace();
      const newest = new Map<number, number>();
      let batch: RunSummary[] = [];
      for (const { run, seq, endsBatch } of arriving) {
        newest.set(run, Math.max(seq, newest.get(run) ?? 0));
        // Every other summary has no attributes, so that they come and go.
        batch.push(runSummary({ namespace, id: `run-${run}`, attributes: seq % 2 === 0 ? {} : { seq, odd: true, text: `${seq}` }, seq }));
        if (!endsBatch) continue;
        await projectSummaries(db, batch);
        batch = [];
      }
      await projectSummaries(db, batch);

      const runs = [...newest].sort().map(([run, seq]) => ({ id: `run-${run}`, seq }));
      expect((await runsOf(namespace)).map(({ id, seq }) => ({ id, seq })).toReversed()).toEqual(runs);
      const attributes = runs.flatMap(({ id, seq }) =>
        seq % 2 === 0
          ? []
          : [
              [id, "odd", "boolean", 1],
              [id, "seq", "number", seq],
              [id, "text", "text", `${seq}`],
            ],
      );
      expect(await attributeRowsOf(namespace)).toEqual(attributes);
    }),
    { numRuns: 60 },
  );
});

test("a batch larger than one statement may carry is written whole", async () => {
  const namespace = newNamespace();
  const attributes = Object.fromEntries(Array.from({ length: 32 }, (_, place) => [`attribute${place}`, "\u65e5".repeat(512)]));
  const summaries = Array.from({ length: 40 }, (_, place) => runSummary({ namespace, id: `run-${place}`, attributes }));

  await projectSummaries(db, summaries);

  expect(await runsOf(namespace)).toHaveLength(40);
  expect(await attributeRowsOf(namespace)).toHaveLength(40 * 32);
});

test("nothing to project is no call to the database", async () => {
  const offline = replacing(db, { prepare: null, batch: null });

  await expect(projectSummaries(offline, [])).resolves.toBeUndefined();
});

test("row writes stay within budget: three for a run that ends at once, one more per attribute, no more for unchanged attributes", async () => {
  const namespace = newNamespace();
  const written = async (summary: RunSummary): Promise<number> => {
    const { counted, rowsWritten } = countingWrites();
    await projectSummaries(counted, [summary]);
    return rowsWritten();
  };
  const attributes = { customer: "acme", amount: 5, vip: true };
  const ended = { status: "completed", endedAt: 1_700_000_002_000, reason: null } as const;

  expect(await written(runSummary({ namespace, id: "at-once", ...ended }))).toBe(3);
  expect(await written(runSummary({ namespace, id: "at-once-3", attributes, ...ended }))).toBe(3 + 3);
  expect(await written(runSummary({ namespace, id: "waits", attributes }))).toBe(5 + 3);
  expect(await written(runSummary({ namespace, id: "waits", attributes, nextWakeAt: 1_700_000_005_000, seq: 2 }))).toBe(3);
  expect(await written(runSummary({ namespace, id: "waits", attributes, ...ended, seq: 3 }))).toBe(1);
});

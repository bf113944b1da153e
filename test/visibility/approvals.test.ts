import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { OpenApproval, RunSummary } from "#core/run.ts";
import { type ApprovalQuery, type InboxApproval, searchApprovals } from "#visibility/approvals.ts";
import { projectSummaries } from "#visibility/project.ts";
import { newNamespace, openIndex, replacing, runSummary } from "./index-db.ts";

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

const now = 1_700_000_100_000;

function asked(key: string, changes: Partial<OpenApproval> = {}): OpenApproval {
  return { key, name: key, assignees: ["ada@acme.example"], quorum: 1, decided: 0, since: now - 60_000, until: null, dueAt: null, ...changes };
}

async function inbox(query: ApprovalQuery): Promise<readonly InboxApproval[]> {
  return (await searchApprovals(db, query, now)).approvals;
}

async function keysOf(query: ApprovalQuery): Promise<string[]> {
  return (await inbox(query)).map((it) => `${it.runId}/${it.key}`);
}

/** The index, and the rows that its batches wrote. */
function countingWrites(): { readonly counted: D1Database; readonly rowsWritten: () => number } {
  let rowsWritten = 0;
  const batch = async (statements: D1PreparedStatement[]): Promise<D1Result[]> => {
    const results = await db.batch(statements);
    for (const result of results) rowsWritten += result.meta.rows_written;
    return results;
  };
  return { counted: replacing(db, { batch }), rowsWritten: () => rowsWritten };
}

async function rowsWrittenBy(...summaries: RunSummary[]): Promise<number> {
  const { counted, rowsWritten } = countingWrites();
  await projectSummaries(counted, summaries);
  return rowsWritten();
}

test("everything that a summary says of an approval is found in the inbox", async () => {
  const namespace = newNamespace();
  const whole = asked("legal#2", {
    name: "legal",
    assignees: ['Ärzte & "Söhne"', "日本 🎼", ""],
    quorum: 3,
    decided: 1,
    until: now + 5,
    dueAt: now + 1,
  });

  await projectSummaries(db, [runSummary({ namespace, id: "run", workflow: "contract", approvals: [whole, asked("tax", { since: 5 })] })]);

  expect(await inbox({ namespace })).toEqual([
    { ...whole, runId: "run", workflow: "contract" },
    { ...asked("tax", { since: 5 }), runId: "run", workflow: "contract" },
  ]);
});

test("an approval leaves the inbox when it is decided, when its run has ended, and for nobody else's sake", async () => {
  const namespace = newNamespace();
  const runs = (seq: number, ...approvals: OpenApproval[]) => runSummary({ namespace, id: "run", approvals, seq });
  await projectSummaries(db, [runs(1, asked("a"), asked("b")), runSummary({ namespace, id: "other", approvals: [asked("a")] })]);

  await projectSummaries(db, [runs(2, asked("b"), asked("c"))]);
  expect((await keysOf({ namespace })).sort()).toEqual(["other/a", "run/b", "run/c"]);

  await projectSummaries(db, [runSummary({ namespace, id: "run", status: "completed", endedAt: now, seq: 3 })]);
  expect(await keysOf({ namespace })).toEqual(["other/a"]);
});

test("who is asked, how many have decided and when it is due follow the run; an older summary that arrives late changes nothing", async () => {
  const namespace = newNamespace();
  const before = runSummary({ namespace, id: "run", approvals: [asked("legal", { quorum: 2 }), asked("gone")], seq: 1 });
  const later = asked("legal", { quorum: 2, decided: 1, assignees: ["ada@acme.example", "boss@acme.example"], until: now, dueAt: now });
  const after = runSummary({ namespace, id: "run", approvals: [later], seq: 2 });

  await projectSummaries(db, [before]);
  await projectSummaries(db, [after]);
  await projectSummaries(db, [before]);

  expect(await inbox({ namespace })).toEqual([{ ...later, runId: "run", workflow: "onboarding" }]);
});

test("a run without approvals costs no row, a repeat none, and a change of the run alone only the run's", async () => {
  const namespace = newNamespace();
  const plain = await rowsWrittenBy(runSummary({ namespace, id: "plain" }));
  const waiting = (seq: number, decided = 0) => runSummary({ namespace, id: "run", approvals: [asked("legal", { decided })], seq });

  expect(await rowsWrittenBy(waiting(1))).toBe(plain + 2);
  expect(await rowsWrittenBy(waiting(1))).toBe(0);
  const alone = await rowsWrittenBy(runSummary({ namespace, id: "plain", seq: 2 }));
  expect(await rowsWrittenBy(waiting(2))).toBe(alone);
  expect(await rowsWrittenBy(waiting(3, 1))).toBe(alone + 1);
});

test("whatever the order, the batches and the repeats, the inbox ends with what the newest summary of each run says", async () => {
  const arrivals = fc.array(fc.record({ run: fc.nat(2), seq: fc.integer({ min: 1, max: 6 }), endsBatch: fc.boolean() }), { maxLength: 25 });
  const approvalsAt = (seq: number): OpenApproval[] => Array.from({ length: seq % 4 }, (_, nth) => asked(`step-${(nth + seq) % 5}`, { decided: seq }));
  await fc.assert(
    fc.asyncProperty(arrivals, async (arriving) => {
      const namespace = newNamespace();
      const newest = new Map<number, number>();
      let batch: RunSummary[] = [];
      for (const { run, seq, endsBatch } of arriving) {
        newest.set(run, Math.max(seq, newest.get(run) ?? 0));
        batch.push(runSummary({ namespace, id: `run-${run}`, approvals: approvalsAt(seq), seq }));
        if (!endsBatch) continue;
        await projectSummaries(db, batch);
        batch = [];
      }
      await projectSummaries(db, batch);

      const expected = [...newest].flatMap(([run, seq]) => approvalsAt(seq).map(({ key, decided }) => `run-${run}/${key}/${decided}`));
      expect((await inbox({ namespace })).map(({ runId, key, decided }) => `${runId}/${key}/${decided}`).sort()).toEqual(expected.sort());
    }),
    { numRuns: 40 },
  );
});

test("the inbox is listed newest first, by assignee, by workflow, and by what is overdue", async () => {
  const namespace = newNamespace();
  const bob = { assignees: ["ada@acme.example", "bob@acme.example"] };
  await projectSummaries(db, [
    runSummary({ namespace, id: "old", approvals: [asked("a", { since: 1, dueAt: now - 10 }), asked("b", { since: 1, ...bob, dueAt: now - 20 })] }),
    runSummary({
      namespace,
      id: "new",
      workflow: "contract",
      approvals: [asked("c", { since: 2, ...bob, dueAt: now + 1 }), asked("d", { since: 3, dueAt: now })],
    }),
    runSummary({ namespace: newNamespace(), id: "foreign", approvals: [asked("a")] }),
  ]);

  expect(await keysOf({ namespace })).toEqual(["new/d", "new/c", "old/b", "old/a"]);
  expect(await keysOf({ namespace, assignee: "bob@acme.example" })).toEqual(["new/c", "old/b"]);
  expect(await keysOf({ namespace, assignee: "bob" })).toEqual([]);
  expect(await keysOf({ namespace, workflow: "contract" })).toEqual(["new/d", "new/c"]);
  expect(await keysOf({ namespace, overdue: true })).toEqual(["old/b", "old/a", "new/d"]);
  expect(await keysOf({ namespace, overdue: true, assignee: "bob@acme.example", workflow: "onboarding" })).toEqual(["old/b"]);
});

test.each([{ overdue: false }, { overdue: true }])("paging shows every approval once, ties included ($overdue)", async ({ overdue }) => {
  const namespace = newNamespace();
  const keys = ["a", "b/c", "d é"];
  const summaries = Array.from({ length: 4 }, (_, run) =>
    runSummary({ namespace, id: `run-${run}`, approvals: keys.map((key) => asked(key, { since: run % 2, dueAt: run % 2 })) }),
  );
  await projectSummaries(db, summaries);

  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof searchApprovals>> = await searchApprovals(
      db,
      { namespace, overdue, limit: 5, ...(cursor !== null && { cursor }) },
      now,
    );
    seen.push(...page.approvals.map((it) => `${it.runId}/${it.key}`));
    cursor = page.nextCursor;
  } while (cursor !== null);

  expect(seen).toHaveLength(12);
  expect(seen).toEqual(await keysOf({ namespace, overdue }));
  expect(new Set(seen).size).toBe(12);
});

test("a cursor of another list, a forged one and a limit out of range are refused", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [runSummary({ namespace, id: "run", approvals: [asked("a"), asked("b")] })]);
  const { nextCursor } = await searchApprovals(db, { namespace, limit: 1 }, now);
  const cursor = nextCursor ?? "";

  for (const query of [{ workflow: "contract" }, { overdue: true }, { assignee: "ada" }]) {
    await expect(searchApprovals(db, { namespace, ...query, cursor }, now)).rejects.toMatchObject({ code: "invalid_cursor" });
  }
  await expect(searchApprovals(db, { namespace, cursor: "nonsense" }, now)).rejects.toMatchObject({ code: "invalid_cursor" });
  for (const limit of [0, 201, 1.5]) await expect(searchApprovals(db, { namespace, limit }, now)).rejects.toMatchObject({ code: "invalid_request" });
});

test("both lists are read from their index, and sort nothing", async () => {
  const plans = [
    "SELECT * FROM approvals INDEXED BY approvals_by_start WHERE namespace = 'n' AND (since, run_id, key) < (1, 'a', 'b') ORDER BY since DESC, run_id DESC, key DESC",
    "SELECT * FROM approvals INDEXED BY approvals_by_due WHERE namespace = 'n' AND due_at IS NOT NULL AND due_at <= 1 ORDER BY due_at, run_id, key",
  ];
  for (const sql of plans) {
    const { results } = await db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
    expect(results.map((row) => row.detail).join()).not.toContain("TEMP B-TREE");
  }
});

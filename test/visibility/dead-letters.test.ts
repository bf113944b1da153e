import { beforeAll, expect, test } from "vitest";
import type { RunSummary } from "#core/run.ts";
import { countDeadLetters, deadLetterGroups } from "#visibility/dead-letters.ts";
import { projectSummaries } from "#visibility/project.ts";
import { DeadLetterFilter, DeadLetterGroupParameters, DeadLetterParameters, parseDeadLetterQuery } from "#visibility/query.ts";
import { searchRuns } from "#visibility/search.ts";
import { newNamespace, openIndex, replacing, runSummary } from "./index-db.ts";

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

/** A run that waits for a person at `charge`. */
function deadLetter(changes: Partial<RunSummary> & Pick<RunSummary, "namespace" | "id">): RunSummary {
  const step = changes.step ?? "charge";
  return runSummary({
    status: "paused",
    reason: { code: "step_failed", message: `Step ${step} failed.`, step, until: null },
    step,
    error: { name: "PaymentError", message: "The card was declined.", code: "E_DECLINED" },
    fingerprint: "declined",
    ...changes,
  });
}

const list = (namespace: string, text = "") => parseDeadLetterQuery(new URLSearchParams(text), namespace, DeadLetterParameters);

async function idsFound(namespace: string, text = ""): Promise<string[]> {
  return (await searchRuns(db, list(namespace, text))).runs.map((run) => run.id);
}

test("dead letters are the runs that wait for a person because a step failed, and no others", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [
    deadLetter({ namespace, id: "parked", createdAt: 3 }),
    deadLetter({
      namespace,
      id: "undoing",
      createdAt: 2,
      step: "~account",
      reason: { code: "compensation_failed", message: "", step: "~account", until: null },
    }),
    runSummary({ namespace, id: "held", status: "paused", reason: { code: "operator", message: "", step: null, until: null } }),
    runSummary({ namespace, id: "failed", status: "failed", endedAt: 9 }),
    deadLetter({ namespace: newNamespace(), id: "elsewhere" }),
  ]);

  expect(await idsFound(namespace)).toEqual(["parked", "undoing"]);
  expect(await idsFound(namespace, "reason=compensation_failed")).toEqual(["undoing"]);
  expect(await countDeadLetters(db, list(namespace))).toBe(2);
  expect((await deadLetterGroups(db, list(namespace))).groups.map((group) => group.count)).toEqual([2]);
});

test("they are narrowed by workflow, step, version, fingerprint, time, attributes and text, alike in the list, the count and the groups", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [
    deadLetter({ namespace, id: "a", workflow: "billing", attributes: { tier: "smb", amount: 5 }, createdAt: 100 }),
    deadLetter({ namespace, id: "b", version: "2", step: "charge#2", attributes: { tier: "enterprise", amount: 50 }, createdAt: 200 }),
    deadLetter({ namespace, id: "c", step: "charge-back", fingerprint: "other", error: { name: "E", message: "unreachable", code: null }, createdAt: 300 }),
  ]);
  const expected: [string, string[]][] = [
    ["", ["c", "b", "a"]],
    ["workflow=billing", ["a"]],
    ["version=2", ["b"]],
    ["step=charge", ["b", "a"]],
    ["step=charge%232", ["b"]],
    ["step=charg", []],
    ["fingerprint=declined", ["b", "a"]],
    ["fingerprint=declined&step=charge%232", ["b"]],
    ["fingerprint=unknown", []],
    ["createdAfter=000000000200", ["c", "b"]],
    ["attr.tier=smb", ["a"]],
    ["attr.amount=gte:5&attr.amount=lt:50", ["a"]],
    ["fingerprint=declined&attr.amount=gte:50", ["b"]],
    ["text=unreach", ["c"]],
  ];
  for (const [text, ids] of expected) {
    expect(await idsFound(namespace, text), text).toEqual(ids);
    expect(await countDeadLetters(db, list(namespace, text)), text).toBe(ids.length);
    const { groups } = await deadLetterGroups(db, list(namespace, text));
    expect(
      groups.reduce((sum, group) => sum + group.count, 0),
      text,
    ).toBe(ids.length);
  }
  expect((await searchRuns(db, { namespace, fingerprint: "declined", sort: { field: "updatedAt", direction: "asc" } })).runs).toHaveLength(2);
  expect((await searchRuns(db, { namespace, step: "charge" })).runs).toHaveLength(2);
});

test("a group tells how many failed in one way, since when, the newest error and some runs", async () => {
  const namespace = newNamespace();
  const failed = Array.from({ length: 5 }, (_, place) =>
    deadLetter({
      namespace,
      id: `run-${place}`,
      step: place === 0 ? "invite" : `invite#${place + 1}`,
      updatedAt: 1000 + place,
      error: { name: "E", message: `Account ${place} is gone.`, code: "E_GONE" },
      fingerprint: "gone",
    }),
  );
  await projectSummaries(db, [...failed, deadLetter({ namespace, id: "single", updatedAt: 5000 })]);

  expect(await deadLetterGroups(db, list(namespace))).toEqual({
    groups: [
      {
        fingerprint: "gone",
        workflow: "onboarding",
        step: "invite",
        error: { name: "E", message: "Account 4 is gone.", code: "E_GONE" },
        count: 5,
        firstSeenAt: 1000,
        lastSeenAt: 1004,
        runIds: ["run-4", "run-3", "run-2"],
      },
      expect.objectContaining({ fingerprint: "declined", step: "charge", count: 1, firstSeenAt: 5000, lastSeenAt: 5000, runIds: ["single"] }),
    ],
    more: false,
  });
  const largest = await deadLetterGroups(db, parseDeadLetterQuery(new URLSearchParams("limit=1"), namespace, DeadLetterGroupParameters));
  expect([largest.groups.map((group) => group.fingerprint), largest.more]).toEqual([["gone"], true]);
  expect(await deadLetterGroups(db, list(newNamespace()))).toEqual({ groups: [], more: false });
});

test("a run that goes on is no dead letter any more", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [deadLetter({ namespace, id: "run" })]);
  await projectSummaries(db, [runSummary({ namespace, id: "run", status: "completed", reason: null, endedAt: 5, seq: 2 })]);

  expect(await idsFound(namespace)).toEqual([]);
  expect(await countDeadLetters(db, list(namespace))).toBe(0);
  expect((await searchRuns(db, { namespace })).runs.map((run) => run.fingerprint)).toEqual([null]);
});

test("what a run repeats or undoes is found again as it was sent, and is never changed", async () => {
  const namespace = newNamespace();
  const origin = { runId: "first", relation: "fork", step: "charge" } as const;
  await projectSummaries(db, [
    runSummary({ namespace, id: "fork", origin, createdAt: 2 }),
    runSummary({ namespace, id: "undo", origin: { runId: "first", relation: "rollback", step: null }, createdAt: 1 }),
  ]);
  await projectSummaries(db, [runSummary({ namespace, id: "fork", status: "completed", origin: null, createdAt: 2, seq: 2 })]);

  expect((await searchRuns(db, { namespace })).runs.map((run) => run.origin)).toEqual([origin, { runId: "first", relation: "rollback", step: null }]);
});

test("counting from a cursor on tells how many remain, and pages meet every dead letter once though some go on meanwhile", async () => {
  const namespace = newNamespace();
  const all = Array.from({ length: 10 }, (_, place) => deadLetter({ namespace, id: `run-${place}`, createdAt: Math.floor(place / 2) }));
  await projectSummaries(db, all);
  const query = { ...parseDeadLetterQuery([], namespace, DeadLetterFilter), sort: { field: "createdAt", direction: "asc" } as const };

  const first = await searchRuns(db, { ...query, limit: 3 });
  await projectSummaries(
    db,
    all.slice(0, 3).map((run) => ({ ...run, status: "running" as const, fingerprint: null, seq: 2 })),
  );

  expect(first.runs.map((run) => run.id)).toEqual(["run-0", "run-1", "run-2"]);
  expect(await countDeadLetters(db, { ...query, cursor: first.nextCursor ?? "" })).toBe(7);
  expect((await searchRuns(db, { ...query, cursor: first.nextCursor ?? "" })).runs.map((run) => run.id)).toEqual(all.slice(3).map((run) => run.id));
  await expect(countDeadLetters(db, { ...query, text: "x", cursor: first.nextCursor ?? "" })).rejects.toMatchObject({ code: "invalid_cursor" });
});

test("among thousands of runs, dead letters cost no more to find than there are of them, and a run that never parks costs no write for them", async () => {
  const namespace = newNamespace();
  await projectSummaries(
    db,
    Array.from({ length: 3000 }, (_, place) =>
      place % 300 === 0
        ? deadLetter({ namespace, id: `run-${place}`, createdAt: place })
        : runSummary({ namespace, id: `run-${place}`, createdAt: place, status: place % 2 === 0 ? "completed" : "waiting" }),
    ),
  );
  let rowsRead = 0;
  const reading = (statement: D1PreparedStatement): D1PreparedStatement =>
    replacing(statement, {
      bind: (...values: unknown[]) => reading(statement.bind(...values)),
      all: async () => {
        const result = await statement.all();
        rowsRead += result.meta.rows_read;
        return result;
      },
      first: async (column: string) => {
        const result = await statement.all<Record<string, unknown>>();
        rowsRead += result.meta.rows_read;
        return result.results[0]?.[column] ?? null;
      },
    });
  const counted = replacing(db, { prepare: (sql: string) => reading(db.prepare(sql)) });

  expect((await searchRuns(counted, list(namespace))).runs).toHaveLength(10);
  expect((await searchRuns(counted, list(namespace, "fingerprint=declined"))).runs).toHaveLength(10);
  expect(await countDeadLetters(counted, list(namespace))).toBe(10);
  expect((await deadLetterGroups(counted, list(namespace))).groups).toHaveLength(1);
  expect(rowsRead).toBeLessThan(300);
});

test.each([
  ["status=failed", DeadLetterParameters],
  ["endedAfter=2026-01-01", DeadLetterParameters],
  ["cursor=x", DeadLetterGroupParameters],
  ["sort=createdAt", DeadLetterGroupParameters],
  ["limit=5", DeadLetterFilter],
  ["step=", DeadLetterParameters],
  [`step=${"x".repeat(267)}`, DeadLetterParameters],
  ["fingerprint=", DeadLetterFilter],
])("?%s is refused for dead letters", (text, allowed) => {
  expect(() => parseDeadLetterQuery(new URLSearchParams(text), "default", allowed)).toThrow(
    expect.objectContaining({ code: "invalid_request", details: expect.objectContaining({ path: text.split("=")[0] }) }),
  );
});

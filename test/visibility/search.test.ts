import { beforeAll, expect, test } from "vitest";
import { type RunStatus, type RunSummary, runStatuses } from "#core/run.ts";
import type { AttributeFilter } from "#visibility/attribute-filter.ts";
import { projectSummaries } from "#visibility/project.ts";
import { type RunQuery, sortFields } from "#visibility/query.ts";
import { searchRuns } from "#visibility/search.ts";
import { newNamespace, openIndex, replacing, runSummary } from "./index-db.ts";

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

async function idsFound(query: RunQuery): Promise<string[]> {
  return (await searchRuns(db, query)).runs.map((run) => run.id).sort();
}

/** Every page of a list, one after the other. */
async function allPages(query: RunQuery): Promise<RunSummary[]> {
  const runs: RunSummary[] = [];
  let cursor: string | undefined;
  do {
    const page = await searchRuns(db, { ...query, cursor });
    runs.push(...page.runs);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return runs;
}

test("filters by workflow, status, reason, version and time narrow the list together", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [
    runSummary({ namespace, id: "a", workflow: "billing", version: "2", createdAt: 100, updatedAt: 1000 }),
    runSummary({
      namespace,
      id: "b",
      status: "failed",
      reason: { code: "timeout", message: "", step: null, until: null },
      createdAt: 200,
      updatedAt: 1100,
      endedAt: 1100,
    }),
    runSummary({ namespace, id: "c", status: "completed", reason: null, createdAt: 300, updatedAt: 1200, endedAt: 1200 }),
    runSummary({ namespace, id: "d", status: "paused", createdAt: 400, updatedAt: 1300 }),
  ]);

  expect((await searchRuns(db, { namespace })).runs.map((run) => run.id)).toEqual(["d", "c", "b", "a"]);
  expect(await idsFound({ namespace, workflow: "billing" })).toEqual(["a"]);
  expect(await idsFound({ namespace, version: "1" })).toEqual(["b", "c", "d"]);
  expect(await idsFound({ namespace, reason: "timeout" })).toEqual(["b"]);
  expect(await idsFound({ namespace, status: ["paused"] })).toEqual(["d"]);
  expect(await idsFound({ namespace, status: ["paused", "failed", "paused"] })).toEqual(["b", "d"]);
  expect(await idsFound({ namespace, status: ["completed", "failed"] })).toEqual(["b", "c"]);
  expect(await idsFound({ namespace, status: [] })).toEqual([]);
  expect(await idsFound({ namespace, createdAfter: 200, createdBefore: 400 })).toEqual(["b", "c"]);
  expect(await idsFound({ namespace, updatedAfter: 1100, updatedBefore: 1300 })).toEqual(["b", "c"]);
  expect(await idsFound({ namespace, endedAfter: 0 })).toEqual(["b", "c"]);
  expect(await idsFound({ namespace, endedBefore: 1200 })).toEqual(["b"]);
  expect(await idsFound({ namespace, status: ["failed"], workflow: "billing" })).toEqual([]);
});

test.each(sortFields.flatMap((field) => (["asc", "desc"] as const).map((direction) => ({ field, direction }))))(
  "paging through 500 runs with ties by $field $direction shows every run exactly once, in order",
  async (sort) => {
    const namespace = newNamespace();
    const runs = Array.from({ length: 500 }, (_, place) => {
      const status: RunStatus = place % 3 === 0 ? "waiting" : place % 3 === 1 ? "failed" : "completed";
      const endedAt = status === "waiting" ? null : 2000 + (place % 7);
      return runSummary({
        namespace,
        id: `run-${(place * 7919) % 500}`,
        status,
        createdAt: 1000 + (place % 5),
        updatedAt: 1500 + (place % 11),
        endedAt,
        attributes: { lot: "one" },
      });
    });
    await projectSummaries(db, runs);

    const filters: Partial<RunQuery>[] = [
      {},
      { status: ["waiting", "failed"] },
      { status: runStatuses },
      { attributes: [{ name: "lot", op: "eq", value: "one" }] },
    ];
    for (const filter of filters) {
      const seen = await allPages({ namespace, ...filter, sort, limit: 37 });
      const expected = runs.filter((run) => filter.status?.includes(run.status) ?? true).map((run) => run.id);
      expect(seen.map((run) => run.id).sort()).toEqual(expected.sort());
      const values = seen.map((run) => run[sort.field]).filter((value) => value !== null);
      expect(values).toEqual(values.toSorted((left, right) => (sort.direction === "asc" ? left - right : right - left)));
      // Runs that have not ended come after all that have.
      expect(seen.slice(values.length).every((run) => run[sort.field] === null)).toBe(true);
    }
  },
);

test("runs that begin or end while one pages by creation neither hide nor double another", async () => {
  const namespace = newNamespace();
  await projectSummaries(
    db,
    Array.from({ length: 10 }, (_, place) => runSummary({ namespace, id: `run-${place}`, createdAt: place })),
  );
  const first = await searchRuns(db, { namespace, limit: 5 });

  await projectSummaries(db, [
    runSummary({ namespace, id: "new", createdAt: 100 }),
    ...Array.from({ length: 10 }, (_, place) => runSummary({ namespace, id: `run-${place}`, createdAt: place, status: "completed", endedAt: 200, seq: 2 })),
  ]);
  const second = await searchRuns(db, { namespace, limit: 5, cursor: first.nextCursor ?? "" });

  expect(first.runs.map((run) => run.id)).toEqual(["run-9", "run-8", "run-7", "run-6", "run-5"]);
  expect(second.runs.map((run) => run.id)).toEqual(["run-4", "run-3", "run-2", "run-1", "run-0"]);
  expect(second.nextCursor).toBeNull();
});

test("all statuses that are not final can be listed at once, newest first", async () => {
  const namespace = newNamespace();
  await projectSummaries(
    db,
    runStatuses.map((status, place) => runSummary({ namespace, id: status, status, createdAt: place })),
  );

  for (const count of [1, 5, 6, 9, 10]) {
    const status = runStatuses.slice(0, count);
    const pages = await allPages({ namespace, status, limit: 2 });
    expect(pages.map((run) => run.id)).toEqual(status.toReversed());
  }
  const notCompleted = runStatuses.filter((status) => status !== "completed");
  expect(await idsFound({ namespace, status: notCompleted, sort: { field: "endedAt", direction: "desc" } })).toEqual(notCompleted.toSorted());
});

test("attributes compare by type: a number with numbers, a text with texts, true with true", async () => {
  const namespace = newNamespace();
  const values: Record<string, string | number | boolean> = {
    one: 1,
    two: 2.5,
    ten: 10,
    huge: 2 ** 60,
    "text-one": "1",
    "text-ten": "10",
    "text-b": "b",
    empty: "",
    yes: true,
    no: false,
  };
  await projectSummaries(db, [
    ...Object.entries(values).map(([id, it]) => runSummary({ namespace, id, attributes: { it, other: "same" } })),
    runSummary({ namespace, id: "without", attributes: { other: "same" } }),
  ]);
  const found = (op: AttributeFilter["op"], value: AttributeFilter["value"]) => idsFound({ namespace, attributes: [{ name: "it", op, value }] });

  expect(await found("eq", 1)).toEqual(["one"]);
  expect(await found("eq", "1")).toEqual(["text-one"]);
  expect(await found("eq", true)).toEqual(["yes"]);
  expect(await found("eq", false)).toEqual(["no"]);
  expect(await found("eq", "")).toEqual(["empty"]);
  expect(await found("eq", 2 ** 60)).toEqual(["huge"]);
  expect(await found("gt", 1)).toEqual(["huge", "ten", "two"]);
  expect(await found("gte", 2.5)).toEqual(["huge", "ten", "two"]);
  expect(await found("lt", 10)).toEqual(["one", "two"]);
  expect(await found("lte", 1)).toEqual(["one"]);
  expect(await found("gt", "1")).toEqual(["text-b", "text-ten"]);
  expect(await found("lt", "1")).toEqual(["empty"]);
  expect(await found("ne", 1)).toEqual(
    Object.keys(values)
      .filter((id) => id !== "one")
      .sort(),
  );
  expect(await found("ne", true)).toEqual(
    Object.keys(values)
      .filter((id) => id !== "yes")
      .sort(),
  );

  const between = [
    { name: "it", op: "gte", value: 2 },
    { name: "it", op: "lt", value: 10 },
    { name: "other", op: "eq", value: "same" },
  ] as const;
  expect(await idsFound({ namespace, attributes: between })).toEqual(["two"]);
  expect(await idsFound({ namespace, attributes: between, status: ["waiting"], sort: { field: "updatedAt", direction: "asc" } })).toEqual(["two"]);
});

test("a text is found as it stands, in upper or lower case, whatever signs it holds", async () => {
  const namespace = newNamespace();
  await projectSummaries(db, [
    runSummary({ namespace, id: "order-100", attributes: { note: "Discount 50%_off" } }),
    runSummary({ namespace, id: "order-200", attributes: { note: "Discount 50 off", amount: 4711 } }),
    runSummary({ namespace, id: "order-300", workflow: "Übergabe", attributes: { customer: `O'Brien "& Sons"` } }),
    runSummary({ namespace, id: "order-400", error: { name: "E", message: "Cafe\u0301 refused: C:\\temp", code: null } }),
    runSummary({ namespace, id: "order-500", attributes: { customer: "東京 🎼", long: "x".repeat(512) } }),
  ]);
  const found = (text: string) => idsFound({ namespace, text });

  expect(await found("ORDER-1")).toEqual(["order-100"]);
  expect(await found("50%")).toEqual(["order-100"]);
  expect(await found("50_")).toEqual([]);
  expect(await found("%")).toEqual(["order-100"]);
  expect(await found("discount 50")).toEqual(["order-100", "order-200"]);
  expect(await found("übergabe")).toEqual(["order-300"]);
  expect(await found("ÜBER")).toEqual(["order-300"]);
  expect(await found(`o'brien "&`)).toEqual(["order-300"]);
  expect(await found("CAFÉ")).toEqual(["order-400"]);
  expect(await found("c:\\TEMP")).toEqual(["order-400"]);
  expect(await found("京 🎼")).toEqual(["order-500"]);
  expect(await found("X".repeat(512))).toEqual(["order-500"]);
  expect(await found("4711")).toEqual([]);
  expect(await found("' OR 1=1 --")).toEqual([]);
});

test("a namespace never sees another's runs, by whatever filter", async () => {
  const [mine, yours] = [newNamespace(), newNamespace()];
  await projectSummaries(db, [
    runSummary({ namespace: mine, id: "mine", attributes: { tier: "smb", amount: 5 } }),
    runSummary({ namespace: yours, id: "yours", attributes: { tier: "smb", amount: 5, only: "here" } }),
  ]);
  const filters: Partial<RunQuery>[] = [
    {},
    { workflow: "onboarding" },
    { status: ["waiting"] },
    { text: "smb" },
    { attributes: [{ name: "tier", op: "eq", value: "smb" }] },
    { attributes: [{ name: "amount", op: "gt", value: 1 }] },
    { attributes: [{ name: "tier", op: "ne", value: "enterprise" }] },
  ];

  for (const filter of filters) expect(await idsFound({ namespace: mine, ...filter })).toEqual(["mine"]);
  expect(await idsFound({ namespace: mine, attributes: [{ name: "only", op: "eq", value: "here" }] })).toEqual([]);
});

test("SQL in names and values is text like any other", async () => {
  const namespace = newNamespace();
  const evil = "'; DROP TABLE runs; --";
  await projectSummaries(db, [runSummary({ namespace, id: "run", attributes: { [evil]: evil, '"quoted"': 1 } }), runSummary({ namespace, id: "other" })]);

  for (const name of [evil, "it' OR '1'='1", '" OR 1=1 --', "$.it", "x) OR (1=1", "?1"]) {
    for (const op of ["eq", "ne", "gte"] as const) {
      const found = await idsFound({ namespace, attributes: [{ name, op, value: "" }] });
      expect(found).toEqual(name === evil && op !== "eq" ? ["run"] : []);
    }
  }
  expect(await idsFound({ namespace, attributes: [{ name: evil, op: "eq", value: evil }] })).toEqual(["run"]);
  expect(await idsFound({ namespace, attributes: [{ name: '"quoted"', op: "gte", value: 1 }] })).toEqual(["run"]);
  expect(await idsFound({ namespace, workflow: evil, version: evil, reason: evil, text: evil })).toEqual([]);
  expect(await idsFound({ namespace: evil })).toEqual([]);
  expect(await idsFound({ namespace })).toEqual(["other", "run"]);
});

test("a cursor from another list, or none at all, is refused as invalid_cursor", async () => {
  const [namespace, other] = [newNamespace(), newNamespace()];
  await projectSummaries(
    db,
    Array.from({ length: 3 }, (_, place) => runSummary({ namespace, id: `run-${place}` })),
  );
  const cursor = (await searchRuns(db, { namespace, limit: 1 })).nextCursor ?? "";
  const forged = btoa(JSON.stringify(["", "1 OR 1=1", "run"]));

  const others: RunQuery[] = [
    { namespace: other, cursor },
    { namespace, workflow: "onboarding", cursor },
    { namespace, status: ["waiting"], cursor },
    { namespace, text: "run", cursor },
    { namespace, attributes: [{ name: "tier", op: "eq", value: "smb" }], cursor },
    { namespace, sort: { field: "createdAt", direction: "asc" }, cursor },
    { namespace, sort: { field: "updatedAt", direction: "desc" }, cursor },
    ...["", "x", "%%%", cursor.slice(1), `${cursor}AAAA`, forged, btoa("null"), btoa("[]")].map((text) => ({ namespace, cursor: text })),
  ];
  for (const query of others) await expect(searchRuns(db, query)).rejects.toMatchObject({ code: "invalid_cursor" });

  expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
  expect((await searchRuns(db, { namespace, limit: 2, cursor })).runs.map((run) => run.id)).toEqual(["run-1", "run-0"]);
});

test("a page has 50 runs unless asked otherwise, and never more than the limit", async () => {
  const namespace = newNamespace();
  await projectSummaries(
    db,
    Array.from({ length: 51 }, (_, place) => runSummary({ namespace, id: `run-${place}` })),
  );

  expect((await searchRuns(db, { namespace })).runs).toHaveLength(50);
  expect((await searchRuns(db, { namespace, limit: 51 })).nextCursor).toBeNull();
  for (const limit of [0, 201, 1.5, Number.NaN]) await expect(searchRuns(db, { namespace, limit })).rejects.toMatchObject({ code: "invalid_request" });
});

test("the largest query that is allowed fits into one statement", async () => {
  const namespace = newNamespace();
  const query: Required<Omit<RunQuery, "cursor">> = {
    namespace,
    workflow: "onboarding",
    status: runStatuses.filter((status) => status !== "completed"),
    reason: "event",
    version: "1",
    step: "charge",
    fingerprint: "f1",
    deadLetter: true,
    createdAfter: 0,
    createdBefore: 2e12,
    updatedAfter: 0,
    updatedBefore: 2e12,
    endedAfter: 0,
    endedBefore: 2e12,
    attributes: Array.from({ length: 10 }, (_, place) => ({ name: `attribute${place}`, op: "gte" as const, value: place })),
    text: "run",
    sort: { field: "endedAt", direction: "asc" },
    limit: 1,
  };
  const attributes = Object.fromEntries(Array.from({ length: 10 }, (_, place) => [`attribute${place}`, place]));
  await projectSummaries(
    db,
    ["run-1", "run-2"].map((id) =>
      runSummary({ namespace, id, status: "failed", step: "charge#2", fingerprint: "f1", endedAt: 1_700_000_002_000, attributes }),
    ),
  );

  expect((await allPages(query)).map((run) => run.id)).toEqual(["run-1", "run-2"]);
});

test("among thousands of runs, what is rare and what is common are both found by reading about one page", async () => {
  const namespace = newNamespace();
  const runs = Array.from({ length: 5200 }, (_, place) => {
    const rare = place % 1000 === 0;
    const status = rare ? "paused" : "completed";
    return runSummary({
      namespace,
      id: `run-${place}`,
      status,
      createdAt: place,
      updatedAt: place,
      attributes: { customer: rare ? "acme" : `c${place}`, tier: "smb", amount: place },
    });
  });
  await projectSummaries(db, runs);
  const rare = ["run-0", "run-1000", "run-2000", "run-3000", "run-4000", "run-5000"];
  const acme: AttributeFilter = { name: "customer", op: "eq", value: "acme" };
  const common: AttributeFilter = { name: "tier", op: "eq", value: "smb" };
  const { counted, rowsRead } = countingReads();
  const newestOf = async (filters: Partial<RunQuery>): Promise<string[]> =>
    (await searchRuns(counted, { namespace, limit: 10, ...filters })).runs.map((run) => run.id).sort();

  expect(await newestOf({ attributes: [acme] })).toEqual(rare);
  expect(await newestOf({ attributes: [common, acme] })).toEqual(rare);
  expect(await newestOf({ attributes: [common], status: ["paused"] })).toEqual(rare);
  expect(await newestOf({ status: ["paused", "blocked"] })).toEqual(rare);
  expect(await newestOf({ attributes: [acme], sort: { field: "updatedAt", direction: "asc" } })).toEqual(rare);
  expect(await newestOf({ attributes: [{ name: "amount", op: "gte", value: 5190 }] })).toHaveLength(10);
  expect(await newestOf({ attributes: [common] })).toContain("run-5199");
  expect(await newestOf({ attributes: [common, { name: "amount", op: "gte", value: 1 }] })).toContain("run-5199");
  expect(await newestOf({ attributes: [{ name: "amount", op: "lt", value: 5199 }] })).toContain("run-5198");
  expect(rowsRead()).toBeLessThan(9 * 100);

  // By a sort that no index has, every match is read, and the page is right all the same.
  expect(await newestOf({ attributes: [common], sort: { field: "updatedAt", direction: "desc" } })).toContain("run-5199");
});

/** The index, and the rows that its searches read; the counting of matches, which is bounded, is left out. */
function countingReads(): { readonly counted: D1Database; readonly rowsRead: () => number } {
  let rowsRead = 0;
  const reading = (statement: D1PreparedStatement): D1PreparedStatement =>
    replacing(statement, {
      bind: (...values: unknown[]) => reading(statement.bind(...values)),
      all: async () => {
        const result = await statement.all();
        rowsRead += result.meta.rows_read;
        return result;
      },
    });
  return { counted: replacing(db, { prepare: (sql: string) => reading(db.prepare(sql)) }), rowsRead: () => rowsRead };
}

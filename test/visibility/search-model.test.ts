import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { type RunSummary, runStatuses } from "#core/run.ts";
import { type AttributeFilter, attributeOperators } from "#visibility/attribute-filter.ts";
import { projectSummaries } from "#visibility/project.ts";
import { type RunQuery, type RunSort, sortFields } from "#visibility/query.ts";
import { searchRuns } from "#visibility/search.ts";
import { newNamespace, openIndex, runSummary } from "./index-db.ts";

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

const value = fc.oneof(fc.constantFrom("a", "b", "B", "1", "true", ""), fc.constantFrom(0, 1, 2, -1.5, 1e15), fc.boolean());
const names = fc.constantFrom("tier", "amount");
const attributes = fc.dictionary(names, value);
const filter: fc.Arbitrary<AttributeFilter> = fc.record({ name: names, op: fc.constantFrom(...attributeOperators), value });

const run = fc.record({
  status: fc.constantFrom(...runStatuses),
  workflow: fc.constantFrom("one", "two"),
  createdAt: fc.nat(4),
  updatedAt: fc.nat(4),
  endedAt: fc.option(fc.nat(4)),
  step: fc.constantFrom(null, "charge", "charge#2", "charge-back"),
  fingerprint: fc.constantFrom(null, "f1", "f2"),
  attributes,
});

const query = fc.record(
  {
    workflow: fc.constantFrom("one", "two"),
    status: fc.array(fc.constantFrom(...runStatuses), { minLength: 1, maxLength: 9 }),
    step: fc.constantFrom("charge", "charge#2"),
    fingerprint: fc.constantFrom("f1", "f2"),
    deadLetter: fc.constant(true as const),
    createdAfter: fc.nat(4),
    endedBefore: fc.nat(4),
    attributes: fc.array(filter, { maxLength: 3 }),
    text: fc.constantFrom("b", "RUN-1", "one"),
    sort: fc.record({ field: fc.constantFrom(...sortFields), direction: fc.constantFrom("asc", "desc") }),
  },
  { requiredKeys: [] },
) satisfies fc.Arbitrary<Partial<RunQuery>>;

test("a search finds exactly the runs that a plain filter over all of them would, in the same order, whichever index leads it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 5, maxLength: 40 }), fc.array(query, { minLength: 8, maxLength: 8 }), async (drafts, queries) => {
      const namespace = newNamespace();
      const runs = drafts.map((draft, place) => runSummary({ ...draft, namespace, id: `run-${place}` }));
      await projectSummaries(db, runs);

      for (const filters of queries) {
        const expected = runs.filter((candidate) => matches(candidate, filters)).sort((left, right) => order(left, right, filters.sort));
        const first = await searchRuns(db, { namespace, ...filters, limit: 3 });
        const rest = first.nextCursor === null ? [] : (await searchRuns(db, { namespace, ...filters, cursor: first.nextCursor, limit: 100 })).runs;
        expect([...first.runs, ...rest].map((found) => found.id)).toEqual(expected.map((found) => found.id));
      }
    }),
    { numRuns: 60 },
  );
});

function matches(candidate: RunSummary, filters: Partial<RunQuery>): boolean {
  const texts = [candidate.id, candidate.workflow, ...Object.values(candidate.attributes).filter((attribute) => typeof attribute === "string")];
  const { text } = filters;
  return (
    (filters.workflow === undefined || candidate.workflow === filters.workflow) &&
    (filters.status === undefined || filters.status.includes(candidate.status)) &&
    (filters.step === undefined || candidate.step === filters.step || (candidate.step ?? "").startsWith(`${filters.step}#`)) &&
    (filters.fingerprint === undefined || candidate.fingerprint === filters.fingerprint) &&
    (filters.deadLetter === undefined || candidate.fingerprint !== null) &&
    (filters.createdAfter === undefined || candidate.createdAt >= filters.createdAfter) &&
    (filters.endedBefore === undefined || (candidate.endedAt !== null && candidate.endedAt < filters.endedBefore)) &&
    (text === undefined || texts.some((own) => own.toLowerCase().includes(text.toLowerCase()))) &&
    (filters.attributes ?? []).every((attribute) => holds(candidate.attributes[attribute.name], attribute))
  );
}

function holds(own: string | number | boolean | undefined, { op, value: wanted }: AttributeFilter): boolean {
  if (own === undefined) return false;
  if (op === "ne") return own !== wanted;
  if (typeof own !== typeof wanted) return false;
  return { eq: own === wanted, gt: own > wanted, gte: own >= wanted, lt: own < wanted, lte: own <= wanted }[op];
}

function order(left: RunSummary, right: RunSummary, sort: RunSort = { field: "createdAt", direction: "desc" }): number {
  const [a, b] = [left[sort.field], right[sort.field]];
  if ((a === null) !== (b === null)) return a === null ? 1 : -1;
  const byValue = (a ?? 0) - (b ?? 0);
  const byId = left.id < right.id ? -1 : 1;
  return (byValue === 0 ? byId : byValue) * (sort.direction === "asc" ? 1 : -1);
}

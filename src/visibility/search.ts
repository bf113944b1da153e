import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import { entryKind, entryValue } from "./attribute-entry.ts";
import type { AttributeFilter } from "./attribute-filter.ts";
import { decodeCursor, encodeCursor, listMark, type Position } from "./cursor.ts";
import { attributeRows, indexedStatuses, leadingAttribute, typedComparison } from "./lead.ts";
import { attributeFiltersPerQuery, type RunQuery, type RunSort } from "./query.ts";
import { foldText, type RunRow, summaryColumns, summaryOf } from "./row.ts";
import { type Binder, mergedSql, newBinder } from "./statement.ts";

/** One page of a list. `nextCursor` is null on the last one. */
export interface RunPage {
  readonly runs: readonly RunSummary[];
  readonly nextCursor: string | null;
}

const defaultSort: RunSort = { field: "createdAt", direction: "desc" };
const defaultLimit = 50;

const sortColumns = { createdAt: "created_at", updatedAt: "updated_at", endedAt: "ended_at" } as const satisfies Record<RunSort["field"], keyof RunRow>;

/** Where the runs are read from, and the columns that are taken from the leading table so that it is searched by them. */
interface Source {
  readonly sql: string;
  readonly createdAt: string;
  readonly id: string;
}

const runsAlone: Source = { sql: "runs", createdAt: "runs.created_at", id: "runs.id" };

/** Named, since for other sorts SQLite would rather walk the whole namespace. */
const runsByStatus: Source = { ...runsAlone, sql: "runs INDEXED BY runs_by_status" };

const ledByAttribute: Source = {
  sql: "run_attributes AS found CROSS JOIN runs ON runs.namespace = found.namespace AND runs.id = found.run_id",
  createdAt: "found.created_at",
  id: "found.run_id",
};

/**
 * One page of the runs that match. Runs that have not ended come last when sorted by `endedAt`, in either direction; ties are broken by id.
 * A list by `createdAt` shows every run once, whatever changes meanwhile; by `updatedAt` or `endedAt` a run that changes while one
 * pages moves, and may be seen twice or be missed.
 *
 * Cost: by `createdAt`, with the namespace, workflow, statuses or one attribute's value, a page reads about its own rows. Further filters and
 * text make it read on until it is full; other sorts read every match. Narrow those by time or attribute.
 *
 * @throws Fault `invalid_cursor` for a cursor of another list; `invalid_request` for a limit or number of attributes out of range.
 */
export async function searchRuns(db: D1Database, query: RunQuery): Promise<RunPage> {
  const limit = checkedLimit(query);
  const sort = query.sort ?? defaultSort;
  const mark = await listMark(listOf(query, sort));
  const after = query.cursor === undefined ? null : decodeCursor(mark, query.cursor);
  const lead = await leadingAttribute(db, query);

  const binder = newBinder();
  // One row more than asked for tells whether there is a next page.
  const sql = mergedSql(selectsOf(binder, query, { sort, after, lead }), orderOf(sort), binder.bind(limit + 1));
  const found = await db
    .prepare(sql)
    .bind(...binder.values)
    .all<RunRow>();
  const shown = found.results.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = found.results.length > limit && last !== undefined;
  return { runs: shown.map(summaryOf), nextCursor: hasMore ? encodeCursor(mark, { value: last[sortColumns[sort.field]], id: last.id }) : null };
}

function checkedLimit(query: RunQuery): number {
  const limit = query.limit ?? defaultLimit;
  if (!Number.isInteger(limit) || limit < 1 || limit > limits.pageSize) {
    throw new Fault("invalid_request", `limit: It must be a whole number from 1 to ${limits.pageSize}.`, { path: "limit" });
  }
  if ((query.attributes?.length ?? 0) > attributeFiltersPerQuery) {
    throw new Fault("invalid_request", `A query compares at most ${attributeFiltersPerQuery} attributes.`, { path: "attr" });
  }
  return limit;
}

/** What makes two queries pages of one list: all but where the page begins and how long it is. */
function listOf(query: RunQuery, sort: RunSort): unknown {
  const { cursor: _cursor, limit: _limit, sort: _sort, status, attributes, ...others } = query;
  const filters = (attributes ?? []).map(({ name, op, value }) => [name, op, value]);
  return [
    Object.entries(others)
      .filter(([, value]) => value !== undefined)
      .sort(),
    status?.toSorted() ?? null,
    filters,
    sort.field,
    sort.direction,
  ];
}

interface Reading {
  readonly sort: RunSort;
  readonly after: Position | null;
  readonly lead: AttributeFilter | null;
}

/**
 * The SELECTs whose union is the list. Statuses that their index has are read one by one and merged in order, since SQLite would otherwise
 * walk all runs for them; they are never many.
 */
function selectsOf(binder: Binder, query: RunQuery, reading: Reading): string[] {
  const statuses = indexedStatuses(query);
  const source = sourceOf(reading.lead, statuses);
  const conditions = [...filterConditions(binder, query, source), ...attributeConditions(binder, query, reading.lead)];
  if (reading.after) conditions.push(afterPosition(binder, source, reading.sort, reading.after));
  const select = `SELECT ${columnsOf(source)} FROM ${source.sql} WHERE ${conditions.join(" AND ")}`;
  if (source !== runsByStatus) return [`${select}${statusCondition(binder, query)}`];
  // The index leaves completed runs out, and SQLite uses it only for a query that says the same.
  return statuses.map((status) => `${select} AND runs.status = ${binder.bind(status)} AND runs.status <> 'completed'`);
}

function sourceOf(lead: AttributeFilter | null, statuses: readonly string[]): Source {
  if (lead) return ledByAttribute;
  return statuses.length > 0 ? runsByStatus : runsAlone;
}

function columnsOf(source: Source): string {
  const own: Partial<Record<keyof RunRow, string>> = { created_at: `${source.createdAt} AS created_at`, id: `${source.id} AS id` };
  return summaryColumns.map((column) => own[column] ?? `runs.${column}`).join(", ");
}

function statusCondition({ bind }: Binder, query: RunQuery): string {
  return query.status === undefined ? "" : ` AND runs.status IN (${[...new Set(query.status)].map(bind).join(", ")})`;
}

function filterConditions({ bind }: Binder, query: RunQuery, source: Source): string[] {
  const conditions = [`runs.namespace = ${bind(query.namespace)}`];
  const add = (left: string, value: string | number | undefined): void => {
    if (value !== undefined) conditions.push(`${left} ${bind(value)}`);
  };
  add("runs.workflow =", query.workflow);
  add("runs.reason_code =", query.reason);
  add("runs.version =", query.version);
  add(`${source.createdAt} >=`, query.createdAfter);
  add(`${source.createdAt} <`, query.createdBefore);
  add("runs.updated_at >=", query.updatedAfter);
  add("runs.updated_at <", query.updatedBefore);
  add("runs.ended_at >=", query.endedAfter);
  add("runs.ended_at <", query.endedBefore);
  // Not LIKE: its patterns end at 50 bytes in D1, and % and _ would need escapes.
  if (query.text !== undefined) conditions.push(`instr(runs.search_text, ${bind(foldText(query.text))}) > 0`);
  return conditions;
}

/** The leading filter is asked of its index, the others of the attributes that came with the run. */
function attributeConditions(binder: Binder, query: RunQuery, lead: AttributeFilter | null): string[] {
  return (query.attributes ?? []).map((filter) => {
    if (filter === lead) return attributeRows(binder, query.namespace, filter);
    const comparison = typedComparison({ bind: binder.bind, kind: entryKind, value: entryValue }, filter.op, filter.value);
    return `EXISTS (SELECT 1 FROM json_each(runs.attributes) AS entry WHERE entry.key = ${binder.bind(filter.name)} AND ${comparison})`;
  });
}

/** Ties run in the direction of the sort, so that the index is read in one direction. */
function orderOf(sort: RunSort): string {
  const direction = sort.direction === "asc" ? "ASC" : "DESC";
  const nulls = sort.field === "endedAt" ? " NULLS LAST" : "";
  return `${sortColumns[sort.field]} ${direction}${nulls}, id ${direction}`;
}

function afterPosition({ bind }: Binder, source: Source, sort: RunSort, { value, id }: Position): string {
  const column = sort.field === "createdAt" ? source.createdAt : `runs.${sortColumns[sort.field]}`;
  const beyond = sort.direction === "asc" ? ">" : "<";
  if (value === null) return `${column} IS NULL AND ${source.id} ${beyond} ${bind(id)}`;
  const after = `(${column}, ${source.id}) ${beyond} (${bind(value)}, ${bind(id)})`;
  return sort.field === "endedAt" ? `(${after} OR ${column} IS NULL)` : after;
}

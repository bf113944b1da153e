import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import type { AttributeFilter } from "./attribute-filter.ts";
import { conditionsOf, ledByAttribute, runsAlone, runsByFingerprint, runsByStatus, type Source } from "./conditions.ts";
import { decodeCursor, encodeCursor, listMark, type Position } from "./cursor.ts";
import { indexedStatuses, leadingAttribute } from "./lead.ts";
import { attributeFiltersPerQuery, type RunQuery, type RunSort } from "./query.ts";
import { type RunRow, summaryColumns, summaryOf } from "./row.ts";
import { type Binder, mergedSql, newBinder } from "./statement.ts";

/** One page of a list. `nextCursor` is null on the last one. */
export interface RunPage {
  readonly runs: readonly RunSummary[];
  readonly nextCursor: string | null;
}

const defaultSort: RunSort = { field: "createdAt", direction: "desc" };
const defaultLimit = 50;

const sortColumns = { createdAt: "created_at", updatedAt: "updated_at", endedAt: "ended_at" } as const satisfies Record<RunSort["field"], keyof RunRow>;

/**
 * One page of the runs that match. Runs that have not ended come last when sorted by `endedAt`, in either direction; ties are broken by id.
 * A list by `createdAt` shows every run once, whatever changes meanwhile; by `updatedAt` or `endedAt` a run that changes while one
 * pages moves, and may be seen twice or be missed.
 *
 * Cost: by `createdAt`, with the namespace, workflow, statuses, fingerprint or one attribute's value, a page reads about its own rows. Further filters and
 * text make it read on until it is full; other sorts read every match. Narrow those by time or attribute.
 *
 * @throws Fault `invalid_cursor` for a cursor of another list; `invalid_request` for a limit or number of attributes out of range.
 */
export async function searchRuns(db: D1Database, query: RunQuery): Promise<RunPage> {
  const limit = checkedLimit(query);
  const { sort, mark, after } = await beginningOf(query);
  // Those that failed in one way are few, and have an index of their own.
  const lead = query.fingerprint === undefined ? await leadingAttribute(db, query) : null;

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

/** In which order a list is read, and from where on. */
interface Beginning {
  readonly sort: RunSort;
  /** Of the list, for its cursors. */
  readonly mark: string;
  readonly after: Position | null;
}

/** @throws Fault `invalid_cursor` for a cursor of another list. */
export async function beginningOf(query: RunQuery): Promise<Beginning> {
  const sort = query.sort ?? defaultSort;
  const mark = await listMark(listOf(query, sort));
  return { sort, mark, after: query.cursor === undefined ? null : decodeCursor(mark, query.cursor) };
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
  const source = sourceOf(query, reading.lead, statuses);
  const conditions = conditionsOf(binder, query, source, reading.lead);
  if (reading.after) conditions.push(afterPosition(binder, source, reading.sort, reading.after));
  const select = `SELECT ${columnsOf(source)} FROM ${source.sql} WHERE ${conditions.join(" AND ")}`;
  if (source !== runsByStatus) return [`${select}${statusCondition(binder, query)}`];
  // The index leaves completed runs out, and SQLite uses it only for a query that says the same.
  return statuses.map((status) => `${select} AND runs.status = ${binder.bind(status)} AND runs.status <> 'completed'`);
}

function sourceOf(query: RunQuery, lead: AttributeFilter | null, statuses: readonly string[]): Source {
  if (lead) return ledByAttribute;
  if (query.fingerprint !== undefined) return runsByFingerprint;
  return statuses.length > 0 ? runsByStatus : runsAlone;
}

function columnsOf(source: Source): string {
  const own: Partial<Record<keyof RunRow, string>> = { created_at: `${source.createdAt} AS created_at`, id: `${source.id} AS id` };
  return summaryColumns.map((column) => own[column] ?? `runs.${column}`).join(", ");
}

function statusCondition({ bind }: Binder, query: RunQuery): string {
  return query.status === undefined ? "" : ` AND runs.status IN (${[...new Set(query.status)].map(bind).join(", ")})`;
}

/** Ties run in the direction of the sort, so that the index is read in one direction. */
function orderOf(sort: RunSort): string {
  const direction = sort.direction === "asc" ? "ASC" : "DESC";
  const nulls = sort.field === "endedAt" ? " NULLS LAST" : "";
  return `${sortColumns[sort.field]} ${direction}${nulls}, id ${direction}`;
}

/** SQL: what comes after a position in a list. */
export function afterPosition({ bind }: Binder, source: Source, sort: RunSort, { value, id }: Position): string {
  const column = sort.field === "createdAt" ? source.createdAt : `runs.${sortColumns[sort.field]}`;
  const beyond = sort.direction === "asc" ? ">" : "<";
  if (value === null) return `${column} IS NULL AND ${source.id} ${beyond} ${bind(id)}`;
  const after = `(${column}, ${source.id}) ${beyond} (${bind(value)}, ${bind(id)})`;
  return sort.field === "endedAt" ? `(${after} OR ${column} IS NULL)` : after;
}

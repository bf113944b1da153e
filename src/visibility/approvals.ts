import { z } from "zod";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { OpenApproval } from "#core/run.ts";
import { decodeCursor, encodeCursor, listMark, type Position } from "./cursor.ts";
import { type Binder, newBinder } from "./statement.ts";

/** The inbox: every approval that waits for a decision, of all runs of a namespace. */

/** An approval in the inbox, and where it belongs. */
export interface InboxApproval extends OpenApproval {
  readonly runId: string;
  readonly workflow: string;
}

/** One page of the inbox. `nextCursor` is null on the last one. */
export interface ApprovalPage {
  readonly approvals: readonly InboxApproval[];
  readonly nextCursor: string | null;
}

/** Which approvals of a namespace to list. All filters must hold. */
export interface ApprovalQuery {
  readonly namespace: string;
  /** Whom it asks, letter for letter. */
  readonly assignee?: string | undefined;
  readonly workflow?: string | undefined;
  /** True: those that should have been decided by now, the longest overdue first. Otherwise all, newest first. */
  readonly overdue?: boolean | undefined;
  /** Rows of the page, 1 to `limits.pageSize`; default 50. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before, of the same namespace and filters. */
  readonly cursor?: string | undefined;
}

/**
 * Removes the approvals that are over. It runs after the upsert of the runs, in the same transaction: a summary is heard if its `seq` is the run's, so an
 * older one that arrives late changes nothing. A run without rows here costs a look into the primary key, and no write.
 */
const deleteOver = `
  DELETE FROM approvals WHERE (namespace, run_id, key) IN (
    SELECT known.namespace, known.run_id, known.key
    FROM json_each(?1) AS sent
    CROSS JOIN approvals AS known ON known.namespace = sent.value ->> '$.namespace' AND known.run_id = sent.value ->> '$.id'
    CROSS JOIN runs ON runs.namespace = known.namespace AND runs.id = known.run_id
    WHERE runs.seq = sent.value ->> '$.seq'
      AND NOT EXISTS (SELECT 1 FROM json_each(sent.value, '$.approvals') AS asked WHERE asked.value ->> '$.key' = known.key)
  )`;

/** Adds the new ones, and writes those that changed. */
const upsertOpen = `
  INSERT INTO approvals (namespace, run_id, key, name, workflow, assignees, quorum, decided, since, until, due_at)
  SELECT runs.namespace, runs.id, asked.value ->> '$.key', asked.value ->> '$.name', runs.workflow, asked.value -> '$.assignees', asked.value ->> '$.quorum',
    asked.value ->> '$.decided', asked.value ->> '$.since', asked.value ->> '$.until', asked.value ->> '$.dueAt'
  FROM json_each(?1) AS sent
  CROSS JOIN json_each(sent.value, '$.approvals') AS asked
  CROSS JOIN runs ON runs.namespace = sent.value ->> '$.namespace' AND runs.id = sent.value ->> '$.id'
  WHERE runs.seq = sent.value ->> '$.seq'
  ON CONFLICT (namespace, run_id, key) DO UPDATE
    SET assignees = excluded.assignees, decided = excluded.decided, until = excluded.until, due_at = excluded.due_at
    WHERE (approvals.assignees, approvals.decided, approvals.until, approvals.due_at) IS NOT (excluded.assignees, excluded.decided, excluded.until, excluded.due_at)`;

/**
 * The statements that bring the inbox up to date, after those that write the runs and in one batch with them. What is sent has, beside the row of each run, its
 * `approvals`. `hasApprovals`: some of them has any.
 */
export function approvalStatements(hasApprovals: boolean): readonly string[] {
  return hasApprovals ? [deleteOver, upsertOpen] : [deleteOver];
}

interface ApprovalRow {
  readonly run_id: string;
  readonly key: string;
  readonly name: string;
  readonly workflow: string;
  readonly assignees: string;
  readonly quorum: number;
  readonly decided: number;
  readonly since: number;
  readonly until: number | null;
  readonly due_at: number | null;
}

const Assignees = z.array(z.string());
const defaultLimit = 50;

/**
 * One page of the inbox as it is at `now`, epoch ms. Cost: about the rows of the page; with an assignee or a workflow it reads on until it is full, at most all
 * open approvals of the namespace.
 * @throws Fault `invalid_cursor` for a cursor of another list; `invalid_request` for a limit out of range.
 */
export async function searchApprovals(db: D1Database, query: ApprovalQuery, now: number): Promise<ApprovalPage> {
  const { namespace, assignee, workflow, overdue = false, limit = defaultLimit, cursor } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > limits.pageSize) {
    throw new Fault("invalid_request", `limit: It must be a whole number from 1 to ${limits.pageSize}.`, { path: "limit" });
  }
  const mark = await listMark(["approvals", namespace, assignee ?? null, workflow ?? null, overdue]);
  const binder = newBinder();
  const conditions = [
    ...conditionsOf(binder, query),
    ...(overdue ? [`due_at <= ${binder.bind(now)}`] : []),
    ...(cursor === undefined ? [] : [afterPosition(binder, overdue, decodeCursor(mark, cursor))]),
  ];
  const [source, order] = overdue
    ? ["approvals INDEXED BY approvals_by_due", "due_at, run_id, key"]
    : ["approvals INDEXED BY approvals_by_start", "since DESC, run_id DESC, key DESC"];
  // One row more than asked for tells whether there is a next page.
  const sql = `SELECT * FROM ${source} WHERE ${conditions.join(" AND ")} ORDER BY ${order} LIMIT ${binder.bind(limit + 1)}`;
  const found = await db
    .prepare(sql)
    .bind(...binder.values)
    .all<ApprovalRow>();
  const shown = found.results.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = found.results.length > limit && last !== undefined;
  return { approvals: shown.map(approvalOf), nextCursor: hasMore ? encodeCursor(mark, positionOf(last, overdue)) : null };
}

function conditionsOf({ bind }: Binder, { namespace, assignee, workflow, overdue }: ApprovalQuery): string[] {
  const conditions = [`namespace = ${bind(namespace)}`];
  if (workflow !== undefined) conditions.push(`workflow = ${bind(workflow)}`);
  if (assignee !== undefined) conditions.push(`EXISTS (SELECT 1 FROM json_each(assignees) AS asked WHERE asked.value = ${bind(assignee)})`);
  // Word for word the condition of the index approvals_by_due.
  if (overdue) conditions.push("due_at IS NOT NULL");
  return conditions;
}

/** A run id has no slash, so the first one ends it. */
function positionOf(row: ApprovalRow, overdue: boolean): Position {
  return { value: overdue ? row.due_at : row.since, id: `${row.run_id}/${row.key}` };
}

function afterPosition({ bind }: Binder, overdue: boolean, { value, id }: Position): string {
  const slash = id.indexOf("/");
  if (value === null || slash < 0) throw new Fault("invalid_cursor", "The cursor can't be read. Use nextCursor of the page before as it is.");
  const place = `(${bind(value)}, ${bind(id.slice(0, slash))}, ${bind(id.slice(slash + 1))})`;
  return overdue ? `(due_at, run_id, key) > ${place}` : `(since, run_id, key) < ${place}`;
}

/** A row that is no approval throws: the table was written by other code than this. */
function approvalOf(row: ApprovalRow): InboxApproval {
  const { run_id: runId, key, name, workflow, quorum, decided, since, until, due_at: dueAt } = row;
  return { runId, workflow, key, name, assignees: Assignees.parse(JSON.parse(row.assignees)), quorum, decided, since, until, dueAt };
}

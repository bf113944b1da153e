import { entryKind, entryValue } from "./attribute-entry.ts";
import type { AttributeFilter } from "./attribute-filter.ts";
import { attributeRows, typedComparison } from "./lead.ts";
import type { RunQuery } from "./query.ts";
import { foldText } from "./row.ts";
import type { Binder } from "./statement.ts";

/** Where the runs are read from, and the columns that are taken from the leading table so that it is searched by them. */
export interface Source {
  readonly sql: string;
  readonly createdAt: string;
  readonly id: string;
}

export const runsAlone: Source = { sql: "runs", createdAt: "runs.created_at", id: "runs.id" };

/** Named, since for other sorts SQLite would rather walk the whole namespace. */
export const runsByStatus: Source = { ...runsAlone, sql: "runs INDEXED BY runs_by_status" };

/** The dead letters and no others. The query must say so: `isDeadLetter`. */
export const runsByFingerprint: Source = { ...runsAlone, sql: "runs INDEXED BY runs_by_fingerprint" };

export const ledByAttribute: Source = {
  sql: "run_attributes AS found CROSS JOIN runs ON runs.namespace = found.namespace AND runs.id = found.run_id",
  createdAt: "found.created_at",
  id: "found.run_id",
};

/** Word for word the condition of the index runs_by_fingerprint. */
export const isDeadLetter = "runs.fingerprint IS NOT NULL";

/** SQL: all that a query asks of a run, its statuses aside. */
export function conditionsOf(binder: Binder, query: RunQuery, source: Source, lead: AttributeFilter | null): string[] {
  return [...columnConditions(binder, query, source), ...attributeConditions(binder, query, lead)];
}

function columnConditions({ bind }: Binder, query: RunQuery, source: Source): string[] {
  const conditions = [`runs.namespace = ${bind(query.namespace)}`];
  const add = (left: string, value: string | number | undefined): void => {
    if (value !== undefined) conditions.push(`${left} ${bind(value)}`);
  };
  add("runs.workflow =", query.workflow);
  add("runs.reason_code =", query.reason);
  add("runs.version =", query.version);
  add("runs.fingerprint =", query.fingerprint);
  add(`${source.createdAt} >=`, query.createdAfter);
  add(`${source.createdAt} <`, query.createdBefore);
  add("runs.updated_at >=", query.updatedAfter);
  add("runs.updated_at <", query.updatedBefore);
  add("runs.ended_at >=", query.endedAfter);
  add("runs.ended_at <", query.endedBefore);
  if (query.deadLetter || query.fingerprint !== undefined) conditions.push(isDeadLetter);
  if (query.step !== undefined) conditions.push(stepCondition(bind(query.step)));
  // Not LIKE: its patterns end at 50 bytes in D1, and % and _ would need escapes.
  if (query.text !== undefined) conditions.push(`instr(runs.search_text, ${bind(foldText(query.text))}) > 0`);
  return conditions;
}

/** The step itself, and those of its name that came later: `invite` finds `invite#2`. */
function stepCondition(step: string): string {
  return `(runs.step = ${step} OR substr(runs.step, 1, length(${step}) + 1) = ${step} || '#')`;
}

/** The leading filter is asked of its index, the others of the attributes that came with the run. */
function attributeConditions(binder: Binder, query: RunQuery, lead: AttributeFilter | null): string[] {
  return (query.attributes ?? []).map((filter) => {
    if (filter === lead) return attributeRows(binder, query.namespace, filter);
    const comparison = typedComparison({ bind: binder.bind, kind: entryKind, value: entryValue }, filter.op, filter.value);
    return `EXISTS (SELECT 1 FROM json_each(runs.attributes) AS entry WHERE entry.key = ${binder.bind(filter.name)} AND ${comparison})`;
  });
}

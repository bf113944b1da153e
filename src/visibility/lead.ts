import { kindOf, storedValue } from "./attribute-entry.ts";
import type { AttributeFilter, AttributeOperator } from "./attribute-filter.ts";
import type { RunQuery } from "./query.ts";
import { type Binder, newBinder } from "./statement.ts";

/** Rows that are counted to tell the rare from the common. Reading as many runs costs some 20 ms; past it, walking all runs meets matches soon enough. */
const countedRows = 5000;

const operatorSql = { eq: "=", ne: "<>", gt: ">", gte: ">=", lt: "<", lte: "<=" } as const satisfies Record<AttributeOperator, string>;

/**
 * The attribute filter whose rows lead the search to the runs; null when the runs are read by one of their own indexes. SQLite has no
 * statistics here and would walk all runs for a customer who has three. So the matches of each filter are counted, up to a bound, and
 * the rarest leads. One query, and none when there is no choice.
 */
export async function leadingAttribute(db: D1Database, query: RunQuery): Promise<AttributeFilter | null> {
  const candidates = (query.attributes ?? []).filter(({ op }) => op !== "ne");
  const [first] = candidates;
  if (first === undefined) return null;
  const statuses = indexedStatuses(query);
  if (candidates.length === 1 && statuses.length === 0 && isReadInOrder(query, first)) return first;
  return rarest(query, candidates, await countMatches(db, query, candidates));
}

/** The statuses of the query, each once, when the index by status has them all; none when it does not help. */
export function indexedStatuses(query: RunQuery): readonly string[] {
  const statuses = [...new Set(query.status ?? [])].sort();
  return statuses.includes("completed") ? [] : statuses;
}

/** SQL: which rows of run_attributes match. */
export function attributeRows({ bind }: Binder, namespace: string, { name, op, value }: AttributeFilter): string {
  return `found.namespace = ${bind(namespace)} AND found.name = ${bind(name)} AND ${typedComparison({ bind, kind: "found.kind", value: "found.value" }, op, value)}`;
}

interface Compared {
  readonly bind: Binder["bind"];
  /** SQL for the attribute's kind and value. */
  readonly kind: string;
  readonly value: string;
}

/** SQL: an attribute's kind and value compared with a value. */
export function typedComparison({ bind, kind, value }: Compared, op: AttributeOperator, operand: string | number | boolean): string {
  const sameKind = `${kind} = ${bind(kindOf(operand))}`;
  const operandSql = bind(storedValue(operand));
  return op === "ne" ? `NOT (${sameKind} AND ${value} = ${operandSql})` : `${sameKind} AND ${value} ${operatorSql[op]} ${operandSql}`;
}

interface Matches {
  /** Of each candidate; `countedRows` stands for that many or more. */
  readonly attributes: readonly number[];
  /** Of the statuses together; null when the index by status does not help. */
  readonly statuses: number | null;
}

async function countMatches(db: D1Database, query: RunQuery, candidates: readonly AttributeFilter[]): Promise<Matches> {
  const binder = newBinder();
  const statuses = indexedStatuses(query);
  const namespace = binder.bind(query.namespace);
  const rows = candidates.map((filter) => `run_attributes AS found WHERE ${attributeRows(binder, query.namespace, filter)}`);
  if (statuses.length > 0) rows.push(`runs WHERE namespace = ${namespace} AND status IN (${statuses.map(binder.bind).join(", ")}) AND status <> 'completed'`);
  const counts = rows.map((matching, place) => `(SELECT count(*) FROM (SELECT 1 FROM ${matching} LIMIT ${countedRows})) AS count${place}`);
  const [answer] = await db
    .prepare(`SELECT ${counts.join(", ")}`)
    .bind(...binder.values)
    .raw<number[]>();
  const attributes = candidates.map((_, place) => answer?.[place] ?? countedRows);
  return { attributes, statuses: statuses.length > 0 ? (answer?.[candidates.length] ?? countedRows) : null };
}

function rarest(query: RunQuery, candidates: readonly AttributeFilter[], matches: Matches): AttributeFilter | null {
  const fewest = Math.min(...matches.attributes);
  if (matches.statuses !== null && matches.statuses <= fewest && matches.statuses < countedRows) return null;
  if (fewest < countedRows) return candidates[matches.attributes.indexOf(fewest)] ?? null;
  return candidates.find((filter) => isReadInOrder(query, filter)) ?? null;
}

/** Rows of one value lie in the order of creation, so a page of them needs no sort. */
function isReadInOrder(query: RunQuery, filter: AttributeFilter): boolean {
  return filter.op === "eq" && (query.sort?.field ?? "createdAt") === "createdAt";
}

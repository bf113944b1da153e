import type { ErrorSummary } from "#core/value.ts";
import { conditionsOf, isDeadLetter, runsByFingerprint } from "./conditions.ts";
import type { RunQuery } from "./query.ts";
import { afterPosition, beginningOf } from "./search.ts";
import { type Binder, newBinder } from "./statement.ts";

/** Dead letters that failed the same way. */
export interface DeadLetterGroup {
  readonly fingerprint: string;
  readonly workflow: string;
  /** The step's name, without its count. */
  readonly step: string;
  /** The error of the one that changed last. */
  readonly error: ErrorSummary;
  readonly count: number;
  /** When the first and the last of them came to where they stand, epoch ms. */
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  /** Some of them, newest first. */
  readonly runIds: readonly string[];
}

/** The largest groups. `more`: there are others. */
export interface DeadLetterGroups {
  readonly groups: readonly DeadLetterGroup[];
  readonly more: boolean;
}

/** Runs that are named for each group, for a look at what happened. */
const examples = 3;

const defaultGroups = 50;

interface GroupRow {
  readonly fingerprint: string;
  readonly runs: number;
  readonly first_at: number;
  readonly last_at: number;
  readonly id: string;
  readonly workflow: string;
  readonly step: string | null;
  readonly error_name: string | null;
  readonly error_message: string | null;
  readonly error_code: string | null;
}

/**
 * The dead letters of a query by fingerprint, the largest groups first; `query.limit` is the number of groups. Reads every dead letter of the namespace, and no
 * other run.
 */
export async function deadLetterGroups(db: D1Database, query: RunQuery): Promise<DeadLetterGroups> {
  const limit = query.limit ?? defaultGroups;
  const binder = newBinder();
  // The texts are joined to the few that are shown, so that sorting the many stays light.
  const sql = `
    SELECT found.fingerprint, found.runs, found.first_at, found.last_at, found.id, runs.workflow, runs.step, runs.error_name, runs.error_message, runs.error_code
    FROM (
      SELECT runs.fingerprint, runs.id, count(*) OVER same AS runs, min(runs.updated_at) OVER same AS first_at, max(runs.updated_at) OVER same AS last_at,
        row_number() OVER (PARTITION BY runs.fingerprint ORDER BY runs.updated_at DESC, runs.id) AS place
      FROM ${matching(binder, query)}
      WINDOW same AS (PARTITION BY runs.fingerprint)
    ) AS found
    CROSS JOIN runs ON runs.namespace = ${binder.bind(query.namespace)} AND runs.id = found.id
    WHERE found.place <= ${examples}
    ORDER BY found.runs DESC, found.last_at DESC, found.fingerprint, found.place
    LIMIT ${binder.bind((limit + 1) * examples)}`;
  const found = await db
    .prepare(sql)
    .bind(...binder.values)
    .all<GroupRow>();
  const groups = groupsOf(found.results);
  return { groups: groups.slice(0, limit), more: groups.length > limit };
}

/** How many dead letters match, from the query's cursor on. Cost: as for `deadLetterGroups`. @throws Fault `invalid_cursor`. */
export async function countDeadLetters(db: D1Database, query: RunQuery): Promise<number> {
  const { sort, after } = await beginningOf(query);
  const binder = newBinder();
  const rest = after ? ` AND ${afterPosition(binder, runsByFingerprint, sort, after)}` : "";
  const count = await db
    .prepare(`SELECT count(*) AS runs FROM ${matching(binder, query)}${rest}`)
    .bind(...binder.values)
    .first<number>("runs");
  return count ?? 0;
}

/** SQL: the dead letters that match. A fingerprint implies the status, so that is not asked. */
function matching(binder: Binder, query: RunQuery): string {
  const conditions = [...conditionsOf(binder, query, runsByFingerprint, null), isDeadLetter];
  return `${runsByFingerprint.sql} WHERE ${conditions.join(" AND ")}`;
}

/** The rows of a group stand together, the newest run first. */
function groupsOf(rows: readonly GroupRow[]): DeadLetterGroup[] {
  const groups = new Map<string, DeadLetterGroup>();
  for (const row of rows) {
    const known = groups.get(row.fingerprint);
    groups.set(row.fingerprint, known ? { ...known, runIds: [...known.runIds, row.id] } : groupOf(row));
  }
  return [...groups.values()];
}

function groupOf(row: GroupRow): DeadLetterGroup {
  return {
    fingerprint: row.fingerprint,
    workflow: row.workflow,
    step: (row.step ?? "").replace(/#\d+$/, ""),
    error: { name: row.error_name ?? "Error", message: row.error_message ?? "", code: row.error_code },
    count: row.runs,
    firstSeenAt: row.first_at,
    lastSeenAt: row.last_at,
    runIds: [row.id],
  };
}

import type { RunSummary } from "#core/run.ts";
import { utf8Bytes } from "#core/value.ts";
import { approvalStatements } from "./approvals.ts";
import { entryKind, entryValue } from "./attribute-entry.ts";
import { changingColumns, lastingColumns, rowOf } from "./row.ts";

/** Bytes of rows in one statement. D1 takes 2 MB in one bound value; a message batch of the queue is at most 256 KB. Beyond: one more set of statements. */
const chunkBytes = 512 * 1024;

const attributeKey = "namespace, name, kind, value, created_at, run_id";
const attributeKeyOfEntry = `runs.namespace, entry.key, ${entryKind}, ${entryValue}, runs.created_at, runs.id`;

/** Removes the attributes that a newer summary changes. It runs before the upsert, while the row still says which they are. */
const deleteOldAttributes = `
  DELETE FROM run_attributes WHERE (${attributeKey}) IN (
    SELECT ${attributeKeyOfEntry}
    FROM json_each(?1) AS sent
    CROSS JOIN runs ON runs.namespace = sent.value ->> '$.namespace' AND runs.id = sent.value ->> '$.id'
    CROSS JOIN json_each(runs.attributes) AS entry
    WHERE sent.value ->> '$.seq' > runs.seq AND sent.value ->> '$.attributes' <> runs.attributes
  )`;

const writtenColumns = [...lastingColumns, ...changingColumns, "search_text"] as const;

const upsertRuns = `
  INSERT INTO runs (${writtenColumns.join(", ")})
  SELECT ${writtenColumns.map((column) => `sent.value ->> '$.${column}'`).join(", ")} FROM json_each(?1) AS sent WHERE true
  ON CONFLICT (namespace, id) DO UPDATE SET ${[...changingColumns, "search_text"].map((column) => `${column} = excluded.${column}`).join(", ")}
  WHERE excluded.seq > runs.seq`;

/** Adds the attributes of the runs as they are in the table after the upsert, whoever wrote it. What is there already costs no write. */
const insertNewAttributes = `
  INSERT OR IGNORE INTO run_attributes (${attributeKey})
  SELECT ${attributeKeyOfEntry}
  FROM json_each(?1) AS sent
  CROSS JOIN runs ON runs.namespace = sent.value ->> '$.namespace' AND runs.id = sent.value ->> '$.id'
  CROSS JOIN json_each(runs.attributes) AS entry`;

/**
 * Copies run summaries into the index. The summary with the greatest `seq` wins, in whatever order and however often they arrive, within
 * one call or over many; so a call may be repeated whole after any failure. One D1 batch, hence one transaction: all of it is written or none.
 *
 * What a run is created with (namespace, id, workflow, trigger, origin, createdAt) is taken from the first summary and never changed.
 *
 * @throws what D1 throws; D1 does not retry writes, the caller (a queue consumer) does.
 */
export async function projectSummaries(db: D1Database, summaries: readonly RunSummary[]): Promise<void> {
  const statements = chunksOf(newestOfEach(summaries)).flatMap((chunk) => chunkStatements(db, chunk));
  if (statements.length > 0) await db.batch(statements);
}

interface Chunk {
  readonly rows: string[];
  bytes: number;
  hasAttributes: boolean;
  hasApprovals: boolean;
}

/** Rows travel as one JSON value each chunk, so the number of statements and bound values does not grow with the number of runs. */
function chunkStatements(db: D1Database, chunk: Chunk): D1PreparedStatement[] {
  const sent = `[${chunk.rows.join(",")}]`;
  const sqls = chunk.hasAttributes ? [deleteOldAttributes, upsertRuns, insertNewAttributes] : [deleteOldAttributes, upsertRuns];
  return [...sqls, ...approvalStatements(chunk.hasApprovals)].map((sql) => db.prepare(sql).bind(sent));
}

function chunksOf(summaries: Iterable<RunSummary>): Chunk[] {
  const chunks: Chunk[] = [];
  for (const summary of summaries) {
    const row = JSON.stringify({ ...rowOf(summary), approvals: summary.approvals });
    const bytes = utf8Bytes(row) + 1;
    let chunk = chunks.at(-1);
    if (!chunk || chunk.bytes + bytes > chunkBytes) {
      chunk = { rows: [], bytes: 0, hasAttributes: false, hasApprovals: false };
      chunks.push(chunk);
    }
    chunk.rows.push(row);
    chunk.bytes += bytes;
    chunk.hasAttributes ||= Object.keys(summary.attributes).length > 0;
    chunk.hasApprovals ||= summary.approvals.length > 0;
  }
  return chunks;
}

/** One summary of each run: the statements compare with what is in the table, not with each other's rows. */
function newestOfEach(summaries: readonly RunSummary[]): Iterable<RunSummary> {
  const newest = new Map<string, RunSummary>();
  for (const summary of summaries) {
    const key = JSON.stringify([summary.namespace, summary.id]);
    const known = newest.get(key);
    if (!known || summary.seq > known.seq) newest.set(key, summary);
  }
  return newest.values();
}

import { entryKind, entryValue } from "./attribute-entry.ts";

/** Their keys are taken from the row of the run, which goes last. */
const deleteAttributes = `
  DELETE FROM run_attributes WHERE (namespace, name, kind, value, created_at, run_id) IN (
    SELECT runs.namespace, entry.key, ${entryKind}, ${entryValue}, runs.created_at, runs.id
    FROM runs CROSS JOIN json_each(runs.attributes) AS entry WHERE runs.namespace = ?1 AND runs.id = ?2
  )`;

/** Takes a run out of the index: its row, its attributes and its open approvals. A repeat changes nothing. @throws what D1 throws. */
export async function forgetRun(db: D1Database, namespace: string, runId: string): Promise<void> {
  const of = (sql: string): D1PreparedStatement => db.prepare(sql).bind(namespace, runId);
  await db.batch([
    of("DELETE FROM approvals WHERE namespace = ?1 AND run_id = ?2"),
    of(deleteAttributes),
    of("DELETE FROM runs WHERE namespace = ?1 AND id = ?2"),
  ]);
}

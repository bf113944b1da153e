import { type Reason, RunSummary } from "#core/run.ts";

/** How a run's summary lies in the table `runs`. The one place that knows both forms. */
export interface RunRow {
  readonly namespace: string;
  readonly id: string;
  readonly seq: number;
  readonly workflow: string;
  readonly version: string;
  readonly status: string;
  readonly reason_code: string | null;
  readonly reason_message: string | null;
  readonly reason_step: string | null;
  readonly reason_until: number | null;
  readonly step: string | null;
  readonly attributes: string;
  readonly trigger: string;
  readonly origin: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly ended_at: number | null;
  readonly next_wake_at: number | null;
  readonly error_name: string | null;
  readonly error_message: string | null;
  readonly error_code: string | null;
  readonly fingerprint: string | null;
}

/** A row as it is written: with the text that search looks into. */
export interface WrittenRow extends RunRow {
  readonly search_text: string;
}

/** What a run keeps from its creation to its end. An upsert leaves these alone, so that their indexes are written once. */
export const lastingColumns = ["namespace", "id", "workflow", "trigger", "origin", "created_at"] as const satisfies readonly (keyof RunRow)[];

/** What every newer summary replaces. */
export const changingColumns = [
  "seq",
  "version",
  "status",
  "reason_code",
  "reason_message",
  "reason_step",
  "reason_until",
  "step",
  "attributes",
  "updated_at",
  "ended_at",
  "next_wake_at",
  "error_name",
  "error_message",
  "error_code",
  "fingerprint",
] as const satisfies readonly (keyof RunRow)[];

/** What a list reads: all but `search_text`. */
export const summaryColumns: readonly (keyof RunRow)[] = [...lastingColumns, ...changingColumns];

/** Characters of an error message that can be searched: enough for its first sentences, and the index has 10 GB for all runs. */
const searchableErrorLength = 1000;

/** The row of a summary. */
export function rowOf(run: RunSummary): WrittenRow {
  return {
    namespace: run.namespace,
    id: run.id,
    seq: run.seq,
    workflow: run.workflow,
    version: run.version,
    status: run.status,
    reason_code: run.reason?.code ?? null,
    reason_message: run.reason?.message ?? null,
    reason_step: run.reason?.step ?? null,
    reason_until: run.reason?.until ?? null,
    step: run.step,
    attributes: JSON.stringify(run.attributes),
    trigger: run.trigger,
    origin: run.origin && JSON.stringify(run.origin),
    created_at: run.createdAt,
    updated_at: run.updatedAt,
    ended_at: run.endedAt,
    next_wake_at: run.nextWakeAt,
    error_name: run.error?.name ?? null,
    error_message: run.error?.message ?? null,
    error_code: run.error?.code ?? null,
    fingerprint: run.fingerprint,
    search_text: searchTextOf(run),
  };
}

/** The summary of a row. A row that is no summary throws: the table was written by other code than this. */
export function summaryOf(row: RunRow): RunSummary {
  return RunSummary.parse({
    namespace: row.namespace,
    id: row.id,
    seq: row.seq,
    workflow: row.workflow,
    version: row.version,
    status: row.status,
    reason: reasonOf(row),
    step: row.step,
    attributes: JSON.parse(row.attributes),
    trigger: row.trigger,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    endedAt: row.ended_at,
    nextWakeAt: row.next_wake_at,
    error: row.error_name === null ? null : { name: row.error_name, message: row.error_message, code: row.error_code },
    fingerprint: row.fingerprint,
    origin: row.origin === null ? null : JSON.parse(row.origin),
  });
}

/** The form in which texts are compared by search: composed, in lower case. SQLite's own lower() knows ASCII only. */
export function foldText(text: string): string {
  return text.normalize("NFC").toLowerCase();
}

function reasonOf(row: RunRow): Reason | null {
  if (row.reason_code === null) return null;
  return { code: row.reason_code, message: row.reason_message ?? "", step: row.reason_step, until: row.reason_until };
}

function searchTextOf(run: RunSummary): string {
  const attributeTexts = Object.values(run.attributes).filter((value) => typeof value === "string");
  const parts = [run.id, run.workflow, run.error?.message.slice(0, searchableErrorLength) ?? "", ...attributeTexts];
  return foldText(parts.join("\n"));
}

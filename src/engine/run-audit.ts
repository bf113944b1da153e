import { type AuditRecord, auditOf } from "#core/audit.ts";
import type { Page } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { redact } from "#core/redaction.ts";
import type { HistorySource } from "./run-history.ts";

/** What people did to the run after entry `after`, at most `limit` acts; values are redacted as in the journal. @throws Fault `run_not_found`. */
export function runAudit(source: HistorySource, after: number, limit: number): Page<AuditRecord> {
  const { state, journal } = source;
  if (!state.created) throw new Fault("run_not_found");
  const found = auditOf(journal.load()).filter((record) => record.seq > after);
  const items: AuditRecord[] = [];
  let length = 0;
  for (const { hasValue, ...record } of found) {
    if (items.length === limit || length > limits.pageLength) return { items, next: items.at(-1)?.seq ?? null };
    const value = hasValue ? redact(journal.value(record.seq), state.redact) : null;
    items.push({ ...record, value });
    length += value?.length ?? 0;
  }
  return { items, next: null };
}

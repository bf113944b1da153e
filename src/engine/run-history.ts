import type { AttemptRecord, RunDetail, StepRecord } from "#core/command.ts";
import type { Recorded, StepEntry } from "#core/entry.ts";
import { Fault, invariant } from "#core/fault.ts";
import { redact } from "#core/redaction.ts";
import type { RunSummary } from "#core/run.ts";
import type { RunState } from "#core/run-state.ts";
import { dueAt } from "#core/run-view.ts";
import { idempotencyKey } from "#core/step-key.ts";
import type { StepState } from "#core/step-state.ts";
import type { Encoded } from "#core/value.ts";
import type { CallbackMint, Journal } from "./ports.ts";

/** What a run's journal tells those who ask: the run whole, its steps with their attempts. It reads, and never writes. */

export interface HistorySource {
  readonly state: RunState;
  readonly journal: Journal;
  readonly callbacks: CallbackMint;
}

/** @throws Fault `run_not_found`. */
export function runDetail(source: HistorySource, summary: () => RunSummary): RunDetail {
  const { created, ended } = source.state;
  if (!created) throw new Fault("run_not_found");
  const end = ended && ended.value !== null ? redact(source.journal.value(ended.seq), source.state.redact) : null;
  return {
    run: summary(),
    input: redact(source.journal.value(created.seq), source.state.redact),
    output: ended?.status === "completed" ? end : null,
    error: ended?.status === "failed" ? end : null,
  };
}

/** Steps in order of start, those that began after entry `after`, at most `limit`. @throws Fault `run_not_found`. */
export function runSteps(source: HistorySource, after: number, limit: number): readonly StepRecord[] {
  if (!source.state.created) throw new Fault("run_not_found");
  const page: StepState[] = [];
  for (const step of source.state.steps.values()) {
    if (step.startSeq > after) page.push(step);
    if (page.length === limit) break;
  }
  return stepRecords(source, page);
}

/** @throws Fault `run_not_found` or `step_not_found`. */
export function runStep(source: HistorySource, key: string): StepRecord {
  if (!source.state.created) throw new Fault("run_not_found");
  const step = source.state.steps.get(key);
  const record = step && stepRecords(source, [step])[0];
  if (!record) throw new Fault("step_not_found", `The run has no step ${key}.`, { step: key });
  return record;
}

/** Entries after `after`, at most `limit`. @throws Fault `run_not_found`. */
export function runJournal(source: HistorySource, after: number, limit: number): readonly Recorded[] {
  if (!source.state.created) throw new Fault("run_not_found");
  return source.journal
    .page(after, limit)
    .map((entry) => ("value" in entry && entry.value !== null ? { ...entry, value: redact(entry.value, source.state.redact) } : entry));
}

function stepRecords(source: HistorySource, steps: readonly StepState[]): readonly StepRecord[] {
  const entries = new Map<string, Recorded<StepEntry>[]>(steps.map((step) => [step.key, []]));
  for (const entry of source.journal.load()) {
    if ("key" in entry) entries.get(entry.key)?.push(entry);
  }
  return steps.map((step) => stepRecord(source, step, entries.get(step.key) ?? []));
}

function stepRecord(source: HistorySource, step: StepState, entries: readonly Recorded<StepEntry>[]): StepRecord {
  const { created } = source.state;
  invariant(created, "A run without its first entry has no steps.");
  const shown = (seq: number): Encoded => redact(source.journal.value(seq), source.state.redact);
  const result = step.resultSeq === null ? null : shown(step.resultSeq);
  const isOpenCallback = step.kind === "callback" && step.endSeq === null;
  return {
    key: step.key,
    name: step.name,
    kind: step.kind,
    status: step.status,
    automation: step.automation,
    startedAt: step.startedAt,
    endedAt: step.endedAt,
    wakeAt: dueAt(step),
    outcome: step.outcome,
    idempotencyKey: idempotencyKey(created.namespace, created.runId, step.key),
    input: step.inputSeq === null ? null : shown(step.inputSeq),
    output: step.status === "completed" ? result : null,
    error: step.status === "failed" ? result : null,
    attempts: attemptRecords(shown, step, entries),
    callbackUrl: isOpenCallback
      ? source.callbacks.url(created.publicUrl, { namespace: created.namespace, runId: created.runId, key: step.key, expiresAt: step.wakeAt })
      : null,
    seq: step.startSeq,
  };
}

function attemptRecords(shown: (seq: number) => Encoded, step: StepState, entries: readonly Recorded<StepEntry>[]): readonly AttemptRecord[] {
  const attempts: AttemptRecord[] = [];
  if (step.dispatch === null) return attempts;
  let startedAt = step.startedAt;
  for (const entry of entries) {
    if (entry.kind === "attempt.started") startedAt = entry.at;
    const ended = attemptEnd(shown, step, entry);
    if (ended) attempts.push({ attempt: entry.kind === "step.started" ? 1 : entry.attempt, startedAt, endedAt: entry.at, ...ended });
  }
  if (attempts.at(-1)?.attempt !== step.attempt) {
    attempts.push({ attempt: step.attempt, startedAt, endedAt: step.endedAt, outcome: step.status === "cancelled" ? "cancelled" : null, error: null });
  }
  return attempts;
}

/** How an entry ended an attempt; null for one that did not. */
function attemptEnd(
  shown: (seq: number) => Encoded,
  step: StepState,
  entry: Recorded<StepEntry>,
): { outcome: AttemptRecord["outcome"]; error: Encoded | null } | null {
  if (entry.kind === "attempt.failed") return { outcome: entry.lost ? "lost" : "failed", error: shown(entry.seq) };
  if (entry.kind === "attempt.completed") return { outcome: "completed", error: null };
  if (entry.kind === "step.completed" && step.wait === null) return { outcome: "completed", error: null };
  if (entry.kind === "step.failed" || entry.kind === "step.parked") return { outcome: "failed", error: shown(entry.seq) };
  return null;
}

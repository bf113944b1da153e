import { askedPeople } from "#core/asked.ts";
import type { ApprovalRecord, AttemptRecord, Page, RunDetail, StepRecord } from "#core/command.ts";
import type { Recorded, RunCreated, RunEnded, RunOrigin, StepEnded, StepEntry } from "#core/entry.ts";
import { Fault, invariant } from "#core/fault.ts";
import { entriesForFork, entriesForRollback, type ForkPlan, forkPlan, type TakenOver } from "#core/fork.ts";
import { limits } from "#core/limits.ts";
import { redact, redactedText } from "#core/redaction.ts";
import { stepsToUndo } from "#core/rollback.ts";
import type { RunSummary } from "#core/run.ts";
import type { RunState } from "#core/run-state.ts";
import { dueAt } from "#core/run-view.ts";
import { idempotencyKey } from "#core/step-key.ts";
import type { StepState } from "#core/step-state.ts";
import { type Encoded, encode } from "#core/value.ts";
import type { CallbackMint, Journal } from "./ports.ts";

/** What a run's journal tells those who ask: the run whole, its steps with their attempts. It reads, and never writes. */

/** What is shown of a sensitive output. */
const hidden = encode(redactedText);

export interface HistorySource {
  readonly state: RunState;
  readonly journal: Journal;
  readonly callbacks: CallbackMint;
}

/** @throws Fault `run_not_found`. */
export function runDetail(source: HistorySource, summary: () => RunSummary): RunDetail {
  const { created, ended } = source.state;
  if (!created) throw new Fault("run_not_found");
  const end = ended && (ended.value !== null || ended.valueOmitted) ? redact(valueOfEntry(source, ended), source.state.redact) : null;
  return {
    run: summary(),
    input: redact(valueOfEntry(source, created), source.state.redact),
    output: ended?.status === "completed" ? end : null,
    error: ended?.status === "failed" ? end : null,
  };
}

/** The value of an entry that has one, from memory where it is there. */
function valueOfEntry({ journal }: HistorySource, entry: Recorded<RunCreated | RunEnded>): Encoded {
  return entry.valueOmitted || entry.value === null ? journal.value(entry.seq) : entry.value;
}

/** Steps in order of start, those that began after entry `after`, at most `limit`. @throws Fault `run_not_found`. */
export function runSteps(source: HistorySource, after: number, limit: number): Page<StepRecord> {
  if (!source.state.created) throw new Fault("run_not_found");
  const steps = [...source.state.steps.values()].filter((step) => step.startSeq > after);
  const entries = stepEntries(source, steps.slice(0, limit));
  return pageOf(steps, limit, (step) => stepRecord(source, step, entries.get(step.key) ?? []));
}

/** @throws Fault `run_not_found` or `step_not_found`. */
export function runStep(source: HistorySource, key: string): StepRecord {
  if (!source.state.created) throw new Fault("run_not_found");
  const step = source.state.steps.get(key);
  if (!step) throw new Fault("step_not_found", `The run has no step ${key}.`, { step: key });
  return stepRecord(source, step, stepEntries(source, [step]).get(key) ?? []);
}

/** Entries after `after`, at most `limit`. @throws Fault `run_not_found`. */
export function runJournal(source: HistorySource, after: number, limit: number): Page<Recorded> {
  const { state, journal } = source;
  if (!state.created) throw new Fault("run_not_found");
  // Light entries first: their values are read one by one, so that a page of large ones ends before it is too large.
  const entries = journal.load().filter((entry) => entry.seq > after);
  return pageOf(entries, limit, (entry) => {
    if (!("value" in entry) || (entry.value === null && !entry.valueOmitted)) return entry;
    const { valueOmitted: _omitted, ...whole } = entry;
    const isHidden = entry.kind === "step.completed" && state.steps.get(entry.key)?.sensitive === true;
    return { ...whole, value: isHidden ? hidden : redact(journal.value(entry.seq), state.redact) } as Recorded;
  });
}

/** Builds items until the page is full, by number or by the length of their values. */
function pageOf<S, T extends { readonly seq: number }>(found: readonly S[], limit: number, build: (item: S) => T): Page<T> {
  const items: T[] = [];
  let length = 0;
  for (const item of found) {
    if (items.length === limit || length > limits.pageLength) return { items, next: items.at(-1)?.seq ?? null };
    const built = build(item);
    items.push(built);
    length += valuesLength(built);
  }
  return { items, next: null };
}

/** Characters of all texts in it: its values, and those of its attempts and decisions. */
function valuesLength(item: unknown): number {
  if (typeof item === "string") return item.length;
  if (typeof item !== "object" || item === null) return 0;
  return Object.values(item).reduce((sum: number, part) => sum + valuesLength(part), 0);
}

/** The steps that a rollback would undo, in that order. @throws Fault `run_not_found`, `step_not_found`. */
export function undoPlan(source: HistorySource, from: string | null): readonly string[] {
  if (!source.state.created) throw new Fault("run_not_found");
  if (from !== null && !source.state.steps.has(from)) throw new Fault("step_not_found", `The run has no step ${from}.`, { step: from });
  return stepsToUndo(source.state, from).map((step) => step.key);
}

/** @throws Fault `run_not_found`, `step_not_found`, `step_state`. */
export function runForkPlan(source: HistorySource, from: string): ForkPlan {
  if (!source.state.created) throw new Fault("run_not_found");
  return forkPlan(source.state, from);
}

/** What a new run takes over from this one. @throws Fault as `runForkPlan`; `value_too_large` when it is more than one message to the new run can hold. */
export function takenOver(source: HistorySource, origin: RunOrigin): TakenOver {
  const { state, journal } = source;
  if (!state.created) throw new Fault("run_not_found");
  const from = { runId: state.created.runId, readValue: (seq: number): Encoded => journal.value(seq) };
  const all = journal.load();
  const entries =
    origin.relation === "fork" && origin.step !== null ? entriesForFork(all, forkPlan(state, origin.step), from) : entriesForRollback(state, all, from);
  const length = entries.reduce((sum, entry) => sum + ("value" in entry ? (entry.value?.length ?? 0) : 0), 0);
  if (length > limits.takenOverLength) throw new Fault("value_too_large", `The run has recorded more than a new run can take over: ${length} characters.`);
  return { origin, input: journal.value(state.created.seq), entries };
}

function stepEntries(source: HistorySource, steps: readonly StepState[]): Map<string, Recorded<StepEntry>[]> {
  const entries = new Map<string, Recorded<StepEntry>[]>(steps.map((step) => [step.key, []]));
  for (const entry of source.journal.load()) {
    if ("key" in entry && entry.kind !== "approval.decided" && entry.kind !== "approval.escalated") entries.get(entry.key)?.push(entry);
  }
  return entries;
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
    idempotencyKey: idempotencyKey(created.namespace, step.keyRunId ?? created.runId, step.key),
    input: step.inputSeq === null ? null : shown(step.inputSeq),
    output: step.status === "completed" ? (step.sensitive && result !== null ? hidden : result) : null,
    error: step.status === "failed" ? result : null,
    attempts: attemptRecords(shown, step, entries),
    callbackUrl: isOpenCallback
      ? source.callbacks.url(created.publicUrl, { namespace: created.namespace, runId: created.runId, key: step.key, expiresAt: step.wakeAt })
      : null,
    policy: step.policy,
    onFailure: step.onFailure,
    compensates: step.compensates,
    unsafeToRepeat: step.unsafeToRepeat,
    approval: approvalRecord(shown, step),
    seq: step.startSeq,
  };
}

function approvalRecord(shown: (seq: number) => Encoded, step: StepState): ApprovalRecord | null {
  if (step.wait?.for !== "approval") return null;
  const { quorum, form } = step.wait;
  const decisions = step.decisions.map(({ seq, hasForm, ...decision }) => ({ ...decision, form: hasForm ? shown(seq) : null }));
  return { assignees: askedPeople({ step, spec: step.wait }), quorum, form, escalated: step.escalated, decisions };
}

/** The newest attempts of a step. */
function attemptRecords(shown: (seq: number) => Encoded, step: StepState, entries: readonly Recorded<StepEntry>[]): readonly AttemptRecord[] {
  if (step.dispatch === null) return [];
  const ended: EndedAttempt[] = [];
  let startedAt = step.startedAt;
  for (const entry of entries) {
    if (entry.kind === "attempt.started") startedAt = entry.at;
    const end = attemptEnd(step, entry);
    if (end && entry.kind !== "step.started") ended.push({ ...end, attempt: entry.attempt, startedAt, endedAt: entry.at, seq: entry.seq });
  }
  const newest = ended.slice(-limits.shownAttempts);
  const attempts = newest.map(({ hasError, seq, ...attempt }): AttemptRecord => ({ ...attempt, error: hasError ? shown(seq) : null }));
  if (attempts.at(-1)?.attempt !== step.attempt) {
    attempts.push({ attempt: step.attempt, startedAt, endedAt: step.endedAt, outcome: step.status === "cancelled" ? "cancelled" : null, error: null });
  }
  return attempts;
}

interface AttemptEnd {
  readonly outcome: AttemptRecord["outcome"];
  /** The entry's value is its error. */
  readonly hasError: boolean;
}

/** An attempt that is over, its error not read yet. `seq`: the entry that ended it. */
interface EndedAttempt extends AttemptEnd, Pick<AttemptRecord, "attempt" | "startedAt" | "endedAt"> {
  readonly seq: number;
}

/** How an entry ended an attempt; null for one that did not. */
function attemptEnd(step: StepState, entry: Recorded<StepEntry>): AttemptEnd | null {
  switch (entry.kind) {
    case "attempt.failed":
      return { outcome: entry.lost ? "lost" : "failed", hasError: true };
    case "attempt.completed":
      return { outcome: "completed", hasError: false };
    case "step.parked":
      return { outcome: "failed", hasError: true };
    case "step.completed":
    case "step.failed":
      return stepEndOf(step, entry);
    default:
      return null;
  }
}

/** The end of a step is that of its last attempt, unless a person or a wait brought it. */
function stepEndOf(step: StepState, entry: Recorded<StepEnded>): AttemptEnd | null {
  if (step.wait !== null || entry.outcome !== null) return null;
  return entry.kind === "step.completed" ? { outcome: "completed", hasError: false } : { outcome: "failed", hasError: true };
}

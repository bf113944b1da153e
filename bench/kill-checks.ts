import type { Effect } from "./effect-sink.ts";

/** What must hold of one run after all kills. Pure, over what the harness saw from outside and what the run's journal says. */

export const violations = {
  lostStart: "an acknowledged start is gone",
  lostEvent: "an acknowledged event is gone, or counted twice",
  unfinished: "a run did not end by itself",
  doubleRecord: "a step is recorded twice, or the journal has a gap",
  reExecution: "a step was executed again after its completion, or beyond its recorded attempts",
  keyChange: "an effect of a step came with another key",
  lostEffect: "a completed step has no effect",
  indexDifference: "the index shows another status than the run has",
} as const;

export type Violation = keyof typeof violations;

export interface JournalEntry {
  readonly seq: number;
  readonly kind: string;
  readonly key?: string;
  readonly attempt?: number;
  readonly eventId?: string;
  readonly dispatch?: string | null;
  readonly instant?: unknown;
}

export interface RunEvidence {
  readonly runId: string;
  /** What the API says at the end; null: it knows no such run. */
  readonly status: string | null;
  readonly indexStatus: string | null;
  readonly journal: readonly JournalEntry[];
  /** In the order of arrival. */
  readonly effects: readonly Effect[];
  readonly isStartAcked: boolean;
  /** Null: no event was acknowledged. */
  readonly ackedEventId: string | null;
}

export interface Finding {
  readonly violation: Violation;
  readonly runId: string;
  readonly detail: string;
}

export function findingsOf(run: RunEvidence): Finding[] {
  const finding = (violation: Violation, detail: string): Finding => ({ violation, runId: run.runId, detail });
  if (run.status === null) return run.isStartAcked ? [finding("lostStart", "not found")] : [];
  const found = [
    ...(run.status === "completed" ? [] : [finding("unfinished", `status ${run.status}`)]),
    ...(run.indexStatus === run.status ? [] : [finding("indexDifference", `index ${run.indexStatus}, run ${run.status}`)]),
    ...eventProblems(run).map((detail) => finding("lostEvent", detail)),
    ...recordProblems(run.journal).map((detail) => finding("doubleRecord", detail)),
    ...keyProblems(run.effects).map((detail) => finding("keyChange", detail)),
    ...orderProblems(run.effects).map((detail) => finding("reExecution", detail)),
  ];
  const steps = attemptsByStep(run.journal);
  for (const [key, step] of steps) {
    const ofStep = run.effects.filter((effect) => effect.step === key);
    found.push(...attemptProblems(key, step, ofStep).map((detail) => finding("reExecution", detail)));
    if (step.hasAction && step.completedBy !== null && ofStep.length === 0) found.push(finding("lostEffect", key));
  }
  for (const effect of run.effects) if (!steps.has(effect.step)) found.push(finding("reExecution", `${effect.step} has an effect and no record`));
  return found;
}

function eventProblems({ journal, ackedEventId }: RunEvidence): string[] {
  if (ackedEventId === null) return [];
  const count = journal.filter((entry) => entry.kind === "event.received" && entry.eventId === ackedEventId).length;
  return count === 1 ? [] : [`event ${ackedEventId} is there ${count} times`];
}

function recordProblems(journal: readonly JournalEntry[]): string[] {
  const problems = journal.filter((entry, i) => entry.seq !== i + 1).map((entry) => `entry ${entry.seq} is out of place`);
  const seen = new Set<string>();
  for (const entry of journal) {
    const record = onceOnly(entry);
    if (record === null) continue;
    if (seen.has(record)) problems.push(`${record} twice`);
    seen.add(record);
  }
  const end = journal.findIndex((entry) => entry.kind === "run.ended");
  if (end >= 0 && end !== journal.length - 1) problems.push("entries after the end");
  return problems;
}

/** What a journal may hold once at most; null for what may repeat. */
function onceOnly({ kind, key, attempt }: JournalEntry): string | null {
  if (kind === "run.created" || kind === "run.ended") return kind;
  if (kind === "step.started") return `start of ${key}`;
  if (kind === "step.completed" || kind === "step.failed") return `end of ${key}`;
  return kind.startsWith("attempt.") ? `${kind} ${attempt} of ${key}` : null;
}

/** A step is one step: all its effects carry one key, and no other step's effects do. */
function keyProblems(effects: readonly Effect[]): string[] {
  const keyOf = new Map<string, string>();
  const stepOf = new Map<string, string>();
  const problems: string[] = [];
  for (const { step, idempotencyKey } of effects) {
    if ((keyOf.get(step) ?? idempotencyKey) !== idempotencyKey) problems.push(`${step}: ${keyOf.get(step)} and ${idempotencyKey}`);
    if ((stepOf.get(idempotencyKey) ?? step) !== step) problems.push(`${idempotencyKey} for ${stepOf.get(idempotencyKey)} and ${step}`);
    keyOf.set(step, idempotencyKey);
    stepOf.set(idempotencyKey, step);
  }
  return problems;
}

/** An effect of a later place shows that all earlier steps were complete by then, durably: none of them may have an effect after it. */
function orderProblems(effects: readonly Effect[]): string[] {
  const problems: string[] = [];
  let highest = 0;
  for (const { step, place, attempt } of effects) {
    if (place < highest) problems.push(`attempt ${attempt} of ${step} after a step that comes later`);
    highest = Math.max(highest, place);
  }
  return problems;
}

interface StepAttempts {
  /** Attempts that the journal knows to have begun. For a dispatched step, those that an executor claimed. */
  readonly begun: Set<number>;
  hasAction: boolean;
  isDispatched: boolean;
  completedBy: number | null;
}

function attemptsByStep(journal: readonly JournalEntry[]): Map<string, StepAttempts> {
  const steps = new Map<string, StepAttempts>();
  for (const entry of journal) {
    if (entry.key === undefined) continue;
    const step = steps.get(entry.key) ?? { begun: new Set(), hasAction: false, isDispatched: false, completedBy: null };
    steps.set(entry.key, step);
    record(step, entry);
  }
  return steps;
}

function record(step: StepAttempts, { kind, attempt = 1, dispatch }: JournalEntry): void {
  if (kind === "step.started") {
    step.hasAction = dispatch === "inline" || dispatch === "queue";
    step.isDispatched = dispatch === "queue";
  }
  const begins = step.isDispatched ? kind === "attempt.claimed" : kind === "attempt.started" || (kind === "step.started" && step.hasAction);
  if (begins) step.begun.add(attempt);
  if (kind === "step.completed") step.completedBy = attempt;
}

/** Nothing happens outside that the journal does not know: each attempt acts once, after it was recorded, and none after the one that completed. */
function attemptProblems(key: string, step: StepAttempts, effects: readonly Effect[]): string[] {
  const problems: string[] = [];
  const acted = new Set<number>();
  for (const { attempt } of effects) {
    if (acted.has(attempt)) problems.push(`attempt ${attempt} of ${key} acted twice`);
    if (!step.begun.has(attempt)) problems.push(`attempt ${attempt} of ${key} acted unrecorded`);
    if (step.completedBy !== null && attempt > step.completedBy)
      problems.push(`attempt ${attempt} of ${key} acted after attempt ${step.completedBy} had completed`);
    acted.add(attempt);
  }
  return problems;
}

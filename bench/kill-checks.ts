import type { Effect } from "./effect-sink.ts";

/** What must hold of one run after all kills. Pure, over what the harness saw from outside and what the run's journal says. */

export const violations = {
  lostStart: "an acknowledged start is gone",
  lostEvent: "an acknowledged event is gone, or counted twice",
  lostAct: "an operator's acknowledged act is gone, or counted twice",
  unfinished: "a run did not end by itself, or not as it was asked to",
  doubleRecord: "a step is recorded twice, or the journal has a gap",
  reExecution: "a step was executed again after its completion, or beyond its recorded attempts",
  keyChange: "an effect of a step came with another key",
  lostEffect: "a completed step has no effect",
  lostUndo: "a rolled back run has something left that was not undone, or not in reverse order",
  lateEffect: "a step has an effect after it was undone",
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
  readonly action?: string;
  /** Of a step: how to undo it is known. */
  readonly compensates?: boolean;
  /** Of a step that was taken over from another run: that run. */
  readonly keyRunId?: string | null;
  /** Of a rollback: what it undoes, in this order. */
  readonly keys?: readonly string[];
}

export interface RunEvidence {
  readonly runId: string;
  /** What the API says at the end; null: it knows no such run. */
  readonly status: string | null;
  /** How it should have ended. */
  readonly expected: string;
  readonly indexStatus: string | null;
  readonly journal: readonly JournalEntry[];
  /** In the order of arrival. */
  readonly effects: readonly Effect[];
  readonly isStartAcked: boolean;
  /** Null: no event was acknowledged. */
  readonly ackedEventId: string | null;
  /** What operators did to it, and were told that it is done. */
  readonly ackedActs: readonly string[];
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
    ...(run.status === run.expected ? [] : [finding("unfinished", `status ${run.status}, and not ${run.expected}`)]),
    ...(run.indexStatus === run.status ? [] : [finding("indexDifference", `index ${run.indexStatus}, run ${run.status}`)]),
    ...eventProblems(run).map((detail) => finding("lostEvent", detail)),
    ...actProblems(run).map((detail) => finding("lostAct", detail)),
    ...recordProblems(run.journal).map((detail) => finding("doubleRecord", detail)),
    ...undoProblems(run.journal).map((detail) => finding("lostUndo", detail)),
    ...lateProblems(run.effects).map((detail) => finding("lateEffect", detail)),
    ...keyProblems(run.effects).map((detail) => finding("keyChange", detail)),
    ...orderProblems(run.effects.filter(({ step }) => !step.startsWith("~"))).map((detail) => finding("reExecution", detail)),
    ...orderProblems(run.effects.filter(({ step }) => step.startsWith("~"))).map((detail) => finding("lostUndo", detail)),
  ];
  const steps = attemptsByStep(run.journal);
  for (const [key, step] of steps) {
    const ofStep = run.effects.filter((effect) => effect.step === key);
    found.push(...attemptProblems(key, step, ofStep).map((detail) => finding("reExecution", detail)));
    if (step.hasAction && !step.isTakenOver && step.completedBy !== null && ofStep.length === 0) found.push(finding("lostEffect", key));
  }
  for (const effect of run.effects) if (!steps.has(effect.step)) found.push(finding("reExecution", `${effect.step} has an effect and no record`));
  return found;
}

/** Steps that the journal shows to be completed. */
export function completedSteps(journal: readonly JournalEntry[]): number {
  return journal.filter((entry) => entry.kind === "step.completed").length;
}

function eventProblems({ journal, ackedEventId }: RunEvidence): string[] {
  if (ackedEventId === null) return [];
  const count = journal.filter((entry) => entry.kind === "event.received" && entry.eventId === ackedEventId).length;
  return count === 1 ? [] : [`event ${ackedEventId} is there ${count} times`];
}

function actProblems({ journal, ackedActs }: RunEvidence): string[] {
  return ackedActs.flatMap((action) => {
    const count = journal.filter((entry) => entry.kind === "operator.acted" && entry.action === action).length;
    return count === 1 ? [] : [`${action} is there ${count} times`];
  });
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
  if (kind === "run.created" || kind === "run.ended" || kind === "run.rollback_begun") return kind;
  if (kind === "step.started") return `start of ${key}`;
  if (kind === "step.completed" || kind === "step.failed") return `end of ${key}`;
  return kind.startsWith("attempt.") ? `${kind} ${attempt} of ${key}` : null;
}

/** What was done is undone, all of it, one after the other and last first; and nothing is begun any more. */
function undoProblems(journal: readonly JournalEntry[]): string[] {
  const from = journal.findIndex((entry) => entry.kind === "run.rollback_begun");
  if (from < 0) return [];
  const [before, after] = [journal.slice(0, from), journal.slice(from)];
  const undoable = before.filter((entry) => entry.kind === "step.started" && entry.compensates === true).map((entry) => entry.key ?? "");
  const done = new Set(before.filter((entry) => entry.kind === "step.completed").map((entry) => entry.key));
  const keys = journal[from]?.keys ?? [];
  const ends = after.filter((entry) => entry.kind === "step.completed").map((entry) => entry.key);
  const begun = after.filter((entry) => (entry.kind === "step.started" || entry.kind === "attempt.started") && !entry.key?.startsWith("~"));
  return [
    ...undoable.filter((key) => done.has(key) && !keys.includes(key)).map((key) => `${key} is not to be undone`),
    ...(ends.join() === keys.map((key) => `~${key}`).join() ? [] : [`${keys.join()} were to be undone, and ${ends.join()} were`]),
    ...begun.map(({ key }) => `${key} was begun after the rollback`),
  ];
}

/** A step is undone when nobody works on it any more: none of its effects comes after one of its undo. */
function lateProblems(effects: readonly Effect[]): string[] {
  const undone = new Set<string>();
  return effects.flatMap(({ step, attempt }) => {
    if (step.startsWith("~")) undone.add(step.slice(1));
    return undone.has(step) ? [`attempt ${attempt} of ${step}`] : [];
  });
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
  isTakenOver: boolean;
  completedBy: number | null;
}

function attemptsByStep(journal: readonly JournalEntry[]): Map<string, StepAttempts> {
  const steps = new Map<string, StepAttempts>();
  for (const entry of journal) {
    if (entry.key === undefined) continue;
    const step = steps.get(entry.key) ?? { begun: new Set(), hasAction: false, isDispatched: false, isTakenOver: false, completedBy: null };
    steps.set(entry.key, step);
    record(step, entry);
  }
  return steps;
}

function record(step: StepAttempts, { kind, attempt = 1, dispatch, keyRunId }: JournalEntry): void {
  if (kind === "step.started") {
    step.hasAction = dispatch === "inline" || dispatch === "queue";
    step.isDispatched = dispatch === "queue";
    step.isTakenOver = (keyRunId ?? null) !== null;
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

import type { Entry, RollbackBegun, RollbackEnd } from "./entry.ts";
import type { RunState } from "./run-state.ts";
import type { StepState } from "./step-state.ts";

/** Rollback: which steps are undone, in which order, and what comes next. */

/** The key of the step that undoes `key`. Authors' names never begin with `~`. */
export function compensationKey(key: string): string {
  return `~${key}`;
}

/** The step that a compensation undoes. */
export function undoneKey(key: string): string {
  return key.slice(1);
}

/**
 * The steps to undo, in reverse order of start: those that declare a compensation and took effect, or may have. `from` is the first step that is undone, and all that
 * began after it; null: from the beginning. Steps that were undone before are left out.
 */
export function stepsToUndo(state: RunState, from: string | null): readonly StepState[] {
  const fromSeq = from === null ? 0 : (state.steps.get(from)?.startSeq ?? 0);
  const found: StepState[] = [];
  for (const step of state.steps.values()) {
    if (step.compensates && step.startSeq >= fromSeq && mayHaveHappened(step) && !isUndone(state, step.key)) found.push(step);
  }
  return found.reverse();
}

/** A step whose last attempt failed, timed out or was cut off: its effect may or may not be there. Its compensation gets no output. */
export function isInDoubt(step: StepState): boolean {
  return step.status !== "completed";
}

function mayHaveHappened(step: StepState): boolean {
  return step.status === "completed" ? step.outcome !== "skipped" : step.attempt > 0;
}

function isUndone(state: RunState, key: string): boolean {
  return state.steps.get(compensationKey(key))?.status === "completed";
}

export interface RollbackStart {
  readonly at: number;
  readonly end: RollbackEnd;
  readonly value: string | null;
  /** As for `stepsToUndo`. Default null. */
  readonly from?: string | null;
}

export function rollbackBegun(state: RunState, start: RollbackStart): RollbackBegun {
  const keys = stepsToUndo(state, start.from ?? null).map((step) => step.key);
  return { kind: "run.rollback_begun", at: start.at, keys, end: start.end, value: start.value };
}

/** The step to undo next; null when the rollback is done. */
export function nextToUndo(state: RunState): string | null {
  return state.rollback?.keys.find((key) => !isUndone(state, key)) ?? null;
}

/** The rollback has undone nothing yet: it waits until nobody works any more on what is to be undone. */
export function isStopping(state: RunState): boolean {
  const { rollback, ended, steps } = state;
  if (!rollback || ended || rollback.keys.length === 0) return false;
  return !rollback.keys.some((key) => (steps.get(compensationKey(key))?.startSeq ?? 0) > rollback.seq);
}

/** The run's code is over: the end, or the rollback before it. */
export function codeEnded(state: RunState, start: RollbackStart, compensate: boolean): Entry {
  const { at, end, value } = start;
  if (compensate && stepsToUndo(state, null).length > 0) return rollbackBegun(state, start);
  return { kind: "run.ended", at, ...end, value };
}

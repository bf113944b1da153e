import type { Operation, OperatorCommand, StepCommand } from "./command.ts";
import { refuseIfEnded, stepEnded } from "./decision.ts";
import type { Entry, OperatorActed, OperatorAction } from "./entry.ts";
import { Fault } from "./fault.ts";
import type { TakenOver } from "./fork.ts";
import { rollbackBegun, stepsToUndo } from "./rollback.ts";
import { applyEntry, emptyRunState, type RunState } from "./run-state.ts";
import { runStatus } from "./run-view.ts";
import { isUnderWay, type StepState } from "./step-state.ts";

/**
 * What operators decide. Each returns the operator's act, for the audit, and what follows from it; empty when it was done before. A refusal is a thrown
 * Fault, and then nothing is written.
 */

/** The entries of an operation. @throws Fault, as the decision of each says. */
export function operationEntries(state: RunState, operation: Operation, at: number): readonly Entry[] {
  switch (operation.action) {
    case "pause":
      return pauseRequested(state, operation, at);
    case "resume":
      return resumeRequested(state, operation, at);
    case "retry":
      return retryRequested(state, operation, at);
    case "complete":
      return stepCompletedByHand(state, operation, at);
    case "skip":
      return stepSkipped(state, operation, at);
    case "fail":
      return stepFailedByHand(state, operation, at);
    case "cancel":
      return cancelRequested(state, operation, at);
    case "rollback":
      return rollbackRequested(state, operation, at);
    case "terminate":
    case "discard":
      return terminated(state, operation, at, operation.action);
    default:
      return operation satisfies never;
  }
}

/** Holds the run. @throws Fault `run_ended`. */
export function pauseRequested(state: RunState, command: OperatorCommand, at: number): readonly Entry[] {
  if (state.paused && !state.ended) return [];
  check(state, command);
  return [acted(state, "pause", command, { at }), { kind: "run.paused", at }];
}

/** Lets a held run go on, and has every parked step tried again. @throws Fault `not_paused`, `run_ended`. */
export function resumeRequested(state: RunState, command: OperatorCommand, at: number): readonly Entry[] {
  check(state, command);
  const parked = [...state.open.values()].filter((step) => step.status === "parked").map((step) => step.key);
  if (!state.paused && parked.length === 0) {
    const status = runStatus(state, false);
    throw new Fault("not_paused", `The run is ${status}; it is not held, and no step of it waits for a person.`, { status });
  }
  const entry = acted(state, "resume", command, { at, keys: parked });
  return state.paused ? [entry, { kind: "run.resumed", at }] : [entry];
}

/** Has a step tried again now, with a corrected input if one is given. @throws Fault `step_not_found`, `step_state`, `run_ended`. */
export function retryRequested(state: RunState, command: StepCommand, at: number): readonly Entry[] {
  const step = openStep(state, command, ["parked", "retrying"]);
  if (command.value !== null && step.inputSeq === null) {
    throw new Fault("step_state", `Step ${step.key} records no input, so none can be corrected: declare \`input\` with the step.`, { step: step.key });
  }
  return [acted(state, "retry", command, { at, keys: [step.key], value: command.value })];
}

/** Ends an open step with an output given by hand; for a wait, its payload. @throws Fault as `retryRequested`. */
export function stepCompletedByHand(state: RunState, command: StepCommand, at: number): readonly Entry[] {
  const step = openStep(state, command, ["parked", "retrying", "waiting"]);
  const outcome = step.wait ? "arrived" : "by_hand";
  return [
    acted(state, "complete", command, { at, keys: [step.key], value: command.value }),
    stepEnded(step, "step.completed", { at, outcome, value: command.value }),
  ];
}

/** Ends an open step without an output. @throws Fault as `retryRequested`. */
export function stepSkipped(state: RunState, command: StepCommand, at: number): readonly Entry[] {
  const step = openStep(state, command, ["parked", "retrying", "waiting"]);
  return [acted(state, "skip", command, { at, keys: [step.key] }), stepEnded(step, "step.completed", { at, outcome: "skipped" })];
}

/** Ends an open step with an error that the workflow sees. @throws Fault as `retryRequested`. */
export function stepFailedByHand(state: RunState, command: StepCommand, at: number): readonly Entry[] {
  const step = openStep(state, command, ["parked", "retrying", "waiting"]);
  if (step.kind === "compensation")
    throw new Fault("step_state", "A compensation can't be failed by hand: try it again, complete it or skip it.", { step: step.key });
  return [
    acted(state, "fail", command, { at, keys: [step.key], value: command.value }),
    stepEnded(step, "step.failed", { at, outcome: "by_hand", value: command.value }),
  ];
}

/**
 * Cancel: a run whose code is executing gets to clean up; one that has not begun, or can't be executed, ends at once, unless it has something to undo.
 * Empty when it is being cancelled already. @throws Fault `run_ended`, `rollback_under_way`.
 */
export function cancelRequested(state: RunState, command: OperatorCommand & { readonly compensate: boolean }, at: number): readonly Entry[] {
  if (state.ended?.status === "cancelled") return [];
  const endsAtOnce = cancelEndsAtOnce(state, command);
  if (state.cancel && !endsAtOnce && !state.ended) return [];
  check(state, command);
  refuseInRollback(state);
  const { actor, reason, compensate } = command;
  const entries: Entry[] = [acted(state, "cancel", command, { at })];
  if (state.paused) entries.push({ kind: "run.resumed", at });
  if (!state.cancel) entries.push({ kind: "run.cancel_requested", at, actor, reason, compensate });
  if (endsAtOnce) {
    entries.push({ kind: "run.ended", at, status: "cancelled", reason: "operator", actor, failedKey: null, error: null, value: null });
  }
  return entries;
}

/** No code has to clean up, and nothing is to be undone. Whoever cancelled first has decided whether to undo. */
function cancelEndsAtOnce(state: RunState, command: { readonly compensate: boolean }): boolean {
  const { compensate } = state.cancel ?? command;
  return !state.started || (state.blocked !== null && !(compensate && stepsToUndo(state, null).length > 0));
}

/** Terminate: ends at once, nothing cleans up. Empty when it was terminated already. `action` tells a discarded dead letter. @throws Fault `run_ended`. */
export function terminated(state: RunState, command: OperatorCommand, at: number, action: "terminate" | "discard" = "terminate"): readonly Entry[] {
  if (state.ended?.status === "terminated") return [];
  check(state, command);
  const reason = action === "discard" ? "discarded" : "operator";
  return [
    acted(state, action, command, { at }),
    { kind: "run.ended", at, status: "terminated", reason, actor: command.actor, failedKey: null, error: null, value: null },
  ];
}

/** Undoes what the run did, from a step on, and ends it as cancelled. @throws Fault `step_not_found`, `nothing_to_undo`, `rollback_under_way`, `run_ended`. */
export function rollbackRequested(state: RunState, command: OperatorCommand & { readonly from: string | null }, at: number): readonly Entry[] {
  check(state, command);
  refuseInRollback(state);
  if (command.from !== null && !state.steps.has(command.from))
    throw new Fault("step_not_found", `The run has no step ${command.from}.`, { step: command.from });
  const keys = stepsToUndo(state, command.from).map((step) => step.key);
  if (keys.length === 0) throw new Fault("nothing_to_undo");
  const end = { status: "cancelled", reason: "rolled_back", actor: command.actor, failedKey: null, error: null } as const;
  const entries: Entry[] = [acted(state, "rollback", command, { at, keys })];
  if (state.paused) entries.push({ kind: "run.resumed", at });
  return [...entries, rollbackBegun(state, { at, end, value: null, from: command.from })];
}

/** A run that is made to undo another's steps goes on with that at once; a fork has nothing to add. @throws Fault `nothing_to_undo`. */
export function undoingOf(first: Entry, taken: TakenOver, command: { readonly actor: string; readonly at: number }): readonly Entry[] {
  if (taken.origin.relation === "fork") return [];
  const state = emptyRunState();
  for (const entry of [first, ...taken.entries]) applyEntry(state, { ...entry, seq: state.lastSeq + 1 });
  if (stepsToUndo(state, taken.origin.step).length === 0) throw new Fault("nothing_to_undo");
  const end = { status: "completed", reason: "rolled_back", actor: command.actor, failedKey: null, error: null } as const;
  return [rollbackBegun(state, { at: Math.max(command.at, state.lastAt), end, value: null, from: taken.origin.step })];
}

/** @throws Fault `run_ended`; `stale` when the run has changed since the operator looked at it. */
function check(state: RunState, command: OperatorCommand): void {
  refuseIfEnded(state);
  if (command.expectedSeq !== null && command.expectedSeq !== state.lastSeq) {
    throw new Fault("stale", `The run has changed since entry ${command.expectedSeq}; it is at ${state.lastSeq}. Look again.`, { seq: state.lastSeq });
  }
}

function refuseInRollback(state: RunState): void {
  if (state.rollback) throw new Fault("rollback_under_way", "The run is undoing what it did. Terminate it to stop that.");
}

function openStep(state: RunState, command: StepCommand, statuses: readonly StepState["status"][]): StepState {
  check(state, command);
  const step = state.steps.get(command.key);
  if (!step) throw new Fault("step_not_found", `The run has no step ${command.key}.`, { step: command.key });
  if (statuses.includes(step.status)) return step;
  const hint = isUnderWay(step) ? " Wait until the attempt has ended, or pause the run." : "";
  throw new Fault("step_state", `Step ${step.key} is ${step.status}; nothing was changed.${hint}`, { step: step.key, status: step.status });
}

interface Act {
  readonly at: number;
  readonly keys?: readonly string[];
  readonly value?: string | null;
}

function acted(state: RunState, action: OperatorAction, command: OperatorCommand, act: Act): OperatorActed {
  const { actor, reason } = command;
  return { kind: "operator.acted", at: act.at, action, actor, reason, before: runStatus(state, false), keys: act.keys ?? [], value: act.value ?? null };
}

import type { AttemptOutcome, AttemptRef, CallbackTerms, EventCommand, StartCommand } from "./command.ts";
import type { AttemptFailed, AttemptStarted, Entry, EventReceived, Recorded, RunCreated, StepEnded, StepOutcome } from "./entry.ts";
import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";
import { nextAttemptAt } from "./retry-policy.ts";
import { codeEnded, rollbackBegun } from "./rollback.ts";
import { isFinal } from "./run.ts";
import type { BufferedEvent, RunState } from "./run-state.ts";
import { runStatus } from "./run-view.ts";
import { isUnderWay, type StepState } from "./step-state.ts";
import { encodeError, summarizeError } from "./value.ts";

/**
 * The decisions: what a journal gains when something happens. Pure: state and facts in, entries out; a refusal is a thrown Fault, and then
 * nothing is written. The engine applies what they return in the same synchronous turn, so no decision is ever carried across an await.
 * What operators decide stands in `operator-decision.ts`.
 */

/** The journal already exists: is this the same start again? @throws Fault `run_exists` when workflow, version or input differ. */
export function checkSameStart(created: Recorded<RunCreated>, command: StartCommand, storedInput: string): void {
  const same = created.workflow === command.workflow && (command.version === null || created.version === command.version) && storedInput === command.input;
  if (same && created.origin === null) return;
  const what = created.workflow === command.workflow ? "input or version" : "workflow";
  const { runId, workflow, version } = created;
  throw new Fault("run_exists", `Run ${runId} exists with another ${what}. Nothing was started; use another id.`, { runId, workflow, version });
}

/** What is known when an attempt has ended. */
export interface AttemptEnd {
  readonly outcome: AttemptOutcome;
  readonly at: number;
  /** From 0 up to 1. */
  readonly random: number;
}

/** An attempt ended: the step's end, its next attempt, or for a callback the beginning of the wait; and what the failure policy makes of the end. */
export function attemptEnded(state: RunState, step: StepState, end: AttemptEnd): readonly Entry[] {
  const { outcome, at, random } = end;
  const { key, attempt, policy } = step;
  if (outcome.ok && step.wait) return [{ kind: "attempt.completed", at, key, attempt }];
  if (outcome.ok) return [stepEnded(step, "step.completed", { at, value: outcome.value })];
  const failure = { failures: step.failures + 1, budgetStartedAt: step.budgetStartedAt + heldMs(state, step, at), now: at, random };
  const retryAt = policy ? nextAttemptAt(policy, outcome, failure) : null;
  if (retryAt !== null) return [{ kind: "attempt.failed", at, key, attempt, lost: false, retryAt, value: outcome.error }];
  return exhausted(state, step, { at, error: outcome.error });
}

/** How long the hold that the run is in has kept the step's budget still. */
function heldMs({ paused }: RunState, { kind, budgetStartedAt }: StepState, at: number): number {
  return paused && kind !== "notice" ? at - Math.max(paused.at, budgetStartedAt) : 0;
}

/** A step's retries are exhausted. A compensation is never skipped in silence: it always waits for a person. */
function exhausted(state: RunState, step: StepState, failure: { readonly at: number; readonly error: string }): readonly Entry[] {
  const { at, error } = failure;
  const summary = summarizeError(error);
  if (step.onFailure === "pause" || step.kind === "compensation") {
    return [{ kind: "step.parked", at, key: step.key, attempt: step.attempt, error: summary, value: error }];
  }
  const failed = stepEnded(step, "step.failed", { at, value: error });
  if (step.onFailure !== "compensate" || !mayUndo(state)) return [failed];
  return [
    failed,
    rollbackBegun(state, { at, end: { status: "failed", reason: "compensated", actor: null, failedKey: step.key, error: summary }, value: error }),
  ];
}

/** An operator who cancelled the run without undoing it has decided that. */
function mayUndo(state: RunState): boolean {
  return state.cancel?.compensate ?? true;
}

/** An attempt vanished. It is tried again without counting against the policy, after a pause that grows with each loss in a row. */
export function attemptLost(step: StepState, at: number, error: string): AttemptFailed {
  const pauseMs = step.lostInARow < 2 ? 0 : Math.min(1000 * 2 ** (step.lostInARow - 2), 60_000);
  return { kind: "attempt.failed", at, key: step.key, attempt: step.attempt, lost: true, retryAt: at + pauseMs, value: error };
}

/** The run is held, and its code is not in memory: the attempts that ran there are over, though nobody runs them again yet. */
export function attemptsCutOff(state: RunState, at: number): readonly Entry[] {
  const running = [...state.open.values()].filter((step) => step.status === "running");
  return running.map((step) => attemptLost(step, at, encodeError(new Fault("attempt_lost", `Attempt ${step.attempt} of ${step.key} was cut off.`))));
}

/** Nobody who tried to tell a notice survived it; the run is not to stop for that. */
export function gaveUp(step: StepState, at: number): StepEnded {
  return stepEnded(step, "step.failed", { at, value: encodeError(new Fault("attempt_lost", `${step.key} was lost ${step.lostInARow} times in a row.`)) });
}

/** The run took too long: it fails, after undoing what it did. */
export function timedOut(state: RunState, at: number): Entry {
  const value = encodeError(new Fault("timeout", "The run took longer than its time-out."));
  const end = { status: "failed", reason: "run_timeout", actor: null, failedKey: null, error: summarizeError(value) } as const;
  return codeEnded(state, { at, end, value }, state.started && mayUndo(state));
}

export function attemptStarted(step: StepState, at: number): AttemptStarted {
  return { kind: "attempt.started", at, key: step.key, attempt: step.attempt + 1 };
}

/** Whether an outcome that arrives for `ref` counts: only for the attempt that is under way. Everything else is a duplicate or late. */
export function isCurrentAttempt(step: StepState | undefined, ref: AttemptRef): step is StepState {
  return step !== undefined && step.attempt === ref.attempt && isUnderWay(step);
}

/** The end of a wait by time; the end of a sleep. */
export function waitEnded(step: StepState, at: number): StepEnded {
  return stepEnded(step, "step.completed", { at, outcome: step.wait ? "timeout" : null });
}

/** A callback's payload arrived. @throws Fault `callback_used`, `callback_expired` or `step_not_found`. */
export function callbackArrived(state: RunState, key: string, payload: string, at: number): StepEnded {
  const step = state.steps.get(key);
  if (step?.wait?.for !== "callback") throw new Fault("step_not_found", `The run has no callback ${key}.`);
  if (step.outcome === "arrived") throw new Fault("callback_used", undefined, { step: key });
  const isOver = state.paused === null && step.wakeAt !== null && step.wakeAt <= at;
  if (step.endSeq !== null || isOver) throw new Fault("callback_expired", undefined, { step: key });
  return stepEnded(step, "step.completed", { at, outcome: "arrived", value: payload });
}

/** What a caller of the callback must prove. @throws Fault as `callbackArrived`. */
export function callbackTerms(state: RunState, key: string, at: number): CallbackTerms {
  callbackArrived(state, key, "", at);
  const wait = state.steps.get(key)?.wait;
  return { verify: wait?.for === "callback" ? wait.verify : null };
}

/** An event arrived: it is recorded, and ends the first wait that takes it. Empty for a repeat. @throws Fault `run_ended` or `inbox_full`. */
export function eventArrived(state: RunState, command: EventCommand, at: number): readonly Entry[] {
  if (state.eventIds.has(command.eventId)) return [];
  refuseIfEnded(state);
  const taker = openWaitFor(state, command, at);
  if (!taker && state.inbox.size >= limits.bufferedEvents) {
    throw new Fault("inbox_full", `${limits.bufferedEvents} events wait in this run and nothing takes them.`);
  }
  const { eventId, name, eventKey, payload } = command;
  const received: EventReceived = { kind: "event.received", at, eventId, name, eventKey, value: payload };
  return taker ? [received, stepEnded(taker, "step.completed", { at, outcome: "arrived", eventSeq: state.lastSeq + 1 })] : [received];
}

/** The oldest buffered event that a wait takes; null when there is none. */
export function bufferedFor(state: RunState, event: string, eventKey: string | null): BufferedEvent | null {
  for (const buffered of state.inbox.values()) {
    if (buffered.name === event && (eventKey === null || buffered.eventKey === eventKey)) return buffered;
  }
  return null;
}

/** The wait begun first among those open that take the event. A wait whose time is over takes nothing, even if its alarm is late. */
function openWaitFor(state: RunState, { name, eventKey }: EventCommand, at: number): StepState | null {
  for (const step of state.open.values()) {
    if (step.wait?.for !== "event" || step.wait.event !== name) continue;
    if (step.wait.eventKey !== null && step.wait.eventKey !== eventKey) continue;
    if (state.paused !== null || step.wakeAt === null || step.wakeAt > at) return step;
  }
  return null;
}

/** @throws Fault `run_ended`, telling how. */
export function refuseIfEnded(state: RunState): void {
  const status = runStatus(state, false);
  if (isFinal(status)) throw new Fault("run_ended", `The run is ${status}; nothing was changed.`, { status });
}

interface StepEnd {
  readonly at: number;
  readonly value?: string | null;
  readonly outcome?: StepOutcome | null;
  readonly eventSeq?: number;
}

/** The entry that ends a step, with what a plain end leaves out filled in. */
export function stepEnded(step: Pick<StepState, "key" | "attempt">, kind: StepEnded["kind"], end: StepEnd): StepEnded {
  return {
    kind,
    at: end.at,
    key: step.key,
    attempt: step.attempt,
    instant: null,
    eventSeq: end.eventSeq ?? null,
    outcome: end.outcome ?? null,
    value: end.value ?? null,
  };
}

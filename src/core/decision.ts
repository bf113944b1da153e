import type { AttemptOutcome, AttemptRef, EventCommand, OperatorCommand, StartCommand } from "./command.ts";
import type { AttemptFailed, AttemptStarted, Entry, EventReceived, Recorded, RunCreated, StepEnded } from "./entry.ts";
import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";
import { nextAttemptAt } from "./retry-policy.ts";
import { isFinal } from "./run.ts";
import type { BufferedEvent, RunState, StepState } from "./run-state.ts";
import { runStatus } from "./run-view.ts";

/**
 * The decisions: what a journal gains when something happens. Pure: state and facts in, entries out; a refusal is a thrown Fault, and then
 * nothing is written. The engine applies what they return in the same synchronous turn, so no decision is ever carried across an await.
 */

/** The journal already exists: is this the same start again? @throws Fault `run_exists` when workflow, version or input differ. */
export function checkSameStart(created: Recorded<RunCreated>, command: StartCommand, storedInput: string): void {
  const same = created.workflow === command.workflow && (command.version === null || created.version === command.version) && storedInput === command.input;
  if (!same) {
    throw new Fault(
      "run_exists",
      `Run ${created.runId} exists with another ${created.workflow === command.workflow ? "input or version" : "workflow"}. Nothing was started; use another id.`,
      {
        runId: created.runId,
        workflow: created.workflow,
        version: created.version,
      },
    );
  }
}

/** An attempt ended: the step's end, its next attempt, or for a callback the beginning of the wait. `random` is from 0 up to 1. */
export function attemptEnded(step: StepState, outcome: AttemptOutcome, at: number, random: number): Entry {
  const { key, attempt } = step;
  if (outcome.ok && step.wait) return { kind: "attempt.completed", at, key, attempt };
  if (outcome.ok) return stepEnded(step, "step.completed", { at, value: outcome.value });
  const retryAt = step.policy
    ? nextAttemptAt(step.policy, outcome, { failures: step.failures + 1, budgetStartedAt: step.budgetStartedAt, now: at, random })
    : null;
  if (retryAt === null && step.onFailure === "pause") return { kind: "step.parked", at, key, attempt, value: outcome.error };
  if (retryAt === null) return stepEnded(step, "step.failed", { at, value: outcome.error });
  return { kind: "attempt.failed", at, key, attempt, lost: false, retryAt, value: outcome.error };
}

/** An attempt vanished. It is tried again without counting against the policy, after a pause that grows with each loss in a row. */
export function attemptLost(step: StepState, at: number, error: string): AttemptFailed {
  const pauseMs = step.lostInARow < 2 ? 0 : Math.min(1000 * 2 ** (step.lostInARow - 2), 60_000);
  return { kind: "attempt.failed", at, key: step.key, attempt: step.attempt, lost: true, retryAt: at + pauseMs, value: error };
}

export function attemptStarted(step: StepState, at: number): AttemptStarted {
  return { kind: "attempt.started", at, key: step.key, attempt: step.attempt + 1 };
}

/** Whether an outcome that arrives for `ref` counts: only for the attempt that is under way. Everything else is a duplicate or late. */
export function isCurrentAttempt(step: StepState | undefined, ref: AttemptRef): step is StepState {
  return step !== undefined && step.attempt === ref.attempt && (step.status === "running" || step.status === "dispatched" || step.status === "claimed");
}

/** The end of a wait by time; the end of a sleep. */
export function waitEnded(step: StepState, at: number): StepEnded {
  return stepEnded(step, "step.completed", { at, outcome: step.wait ? "timeout" : null });
}

/** A callback's payload arrived. @throws Fault `callback_used`, `callback_expired` or `step_not_found`. */
export function callbackArrived(state: RunState, key: string, payload: string, at: number): StepEnded {
  const step = state.steps.get(key);
  if (step?.wait?.for !== "callback") throw new Fault("step_not_found", `The run has no callback ${key}.`);
  if (step.status === "completed" && step.endSeq !== null) throw new Fault("callback_used", undefined, { step: key });
  if (step.endSeq !== null || (step.wakeAt !== null && step.wakeAt <= at)) throw new Fault("callback_expired", undefined, { step: key });
  return stepEnded(step, "step.completed", { at, outcome: "arrived", value: payload });
}

/** An event arrived: it is recorded, and ends the first wait that takes it. Empty for a repeat. @throws Fault `run_ended` or `inbox_full`. */
export function eventArrived(state: RunState, command: EventCommand, at: number): readonly Entry[] {
  if (state.eventIds.has(command.eventId)) return [];
  refuseIfEnded(state);
  const taker = openWaitFor(state, command.name, command.eventKey, at);
  if (!taker && state.inbox.size >= limits.bufferedEvents)
    throw new Fault("inbox_full", `${limits.bufferedEvents} events wait in this run and nothing takes them.`);
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
function openWaitFor(state: RunState, event: string, eventKey: string | null, at: number): StepState | null {
  for (const step of state.open.values()) {
    if (step.wait?.for !== "event" || step.wait.event !== event) continue;
    if (step.wait.eventKey !== null && step.wait.eventKey !== eventKey) continue;
    if (step.wakeAt === null || step.wakeAt > at) return step;
  }
  return null;
}

/**
 * Cancel: a run whose code is executing gets to clean up; one that has not begun or can't be executed ends at once. Empty when it is being
 * cancelled already. @throws Fault `run_ended`.
 */
export function cancelRequested(state: RunState, command: OperatorCommand, at: number): readonly Entry[] {
  if (state.ended?.status === "cancelled") return [];
  refuseIfEnded(state);
  if (state.cancel && !state.blocked) return [];
  const { actor, reason } = command;
  const request: Entry = { kind: "run.cancel_requested", at, actor, reason };
  const end: Entry = { kind: "run.ended", at, status: "cancelled", reason: "operator", actor, value: null };
  if (!state.started || state.blocked) return state.cancel ? [end] : [request, end];
  return [request];
}

/** Resume: every parked step is tried again. @throws Fault `not_paused` when there is none, `run_ended`. */
export function resumed(state: RunState, command: OperatorCommand, at: number): readonly Entry[] {
  refuseIfEnded(state);
  const keys = [...state.open.values()].filter((step) => step.status === "parked").map((step) => step.key);
  if (keys.length === 0)
    throw new Fault("not_paused", `The run is ${runStatus(state, false)}; no step of it waits for a person.`, { status: runStatus(state, false) });
  return [{ kind: "operator.acted", at, action: "retry", actor: command.actor, reason: command.reason, keys }];
}

/** Terminate: ends at once, nothing cleans up. Empty when it was terminated already. @throws Fault `run_ended`. */
export function terminated(state: RunState, command: OperatorCommand, at: number): readonly Entry[] {
  if (state.ended?.status === "terminated") return [];
  refuseIfEnded(state);
  return [{ kind: "run.ended", at, status: "terminated", reason: "operator", actor: command.actor, value: null }];
}

function refuseIfEnded(state: RunState): void {
  const status = runStatus(state, false);
  if (isFinal(status)) throw new Fault("run_ended", `The run is ${status}; nothing was changed.`, { status });
}

interface StepEnd {
  readonly at: number;
  readonly value?: string | null;
  readonly outcome?: "arrived" | "timeout" | null;
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

import type { AttemptOutcome } from "#core/command.ts";
import { bufferedFor, stepEnded } from "#core/decision.ts";
import type { Entry, StepEnded, StepStarted } from "#core/entry.ts";
import { faultCodeOf } from "#core/fault.ts";
import { codeEnded } from "#core/rollback.ts";
import type { RunState } from "#core/run-state.ts";
import { encode, encodeError, summarizeError } from "#core/value.ts";
import { verdictOf } from "#sdk/errors.ts";
import type { AttemptResult } from "./attempts.ts";
import type { Call, StartFields } from "./call.ts";
import type { PassOutcome } from "./pass.ts";

/** The entries that an execution journals: how a step begins, what an attempt brought, how the code ended. */

/** The entries that begin a step: its start, or its end at once; for a wait whose event is here already, both. */
export function startEntries(state: RunState, call: Call, at: number): Entry[] {
  const { key, name, count, kind: step, automation, begin } = call;
  if (begin.type === "instant") return [instantEntry(call, "step.completed", { at, value: encode(begin.value(at)) })];
  const fields: StartFields = begin.fields(at);
  const started: StepStarted = { kind: "step.started", at, key, name, count, step, automation, keyRunId: null, ...fields };
  const isPast = fields.wait === null && fields.wakeAt !== null && fields.wakeAt <= at;
  if (isPast) return [started, stepEnded({ key, attempt: 0 }, "step.completed", { at })];
  if (fields.wait?.for !== "event") return [started];
  const buffered = bufferedFor(state, fields.wait.event, fields.wait.eventKey);
  return buffered ? [started, stepEnded({ key, attempt: 0 }, "step.completed", { at, outcome: "arrived", eventSeq: buffered.seq })] : [started];
}

export function instantEntry(call: Call, kind: StepEnded["kind"], end: { readonly at: number; readonly value: string }): StepEnded {
  const { key, name, count, kind: step, automation } = call;
  return { ...stepEnded({ key, attempt: 0 }, kind, end), instant: { name, count, step, automation } };
}

export function outcomeOf(result: AttemptResult, call: Call, context: { readonly attempt: number; readonly now: number }): AttemptOutcome {
  let error: unknown;
  if (result.ok) {
    try {
      return { ok: true, value: encode(call.kind === "callback" ? undefined : result.value) };
    } catch (unrecordable) {
      error = unrecordable;
    }
  } else {
    error = result.error;
  }
  return { ok: false, error: encodeError(error), ...verdictOf(error, context.attempt, context.now, call.retryIf) };
}

/** The workflow function ended: so does the run, now or when what it did is undone. */
export function functionEnded(state: RunState, outcome: PassOutcome, context: { readonly at: number; readonly failedKey: string | null }): Entry {
  const { at, failedKey } = context;
  const { cancel } = state;
  if (cancel) {
    const end = { status: "cancelled", reason: "operator", actor: cancel.actor, failedKey: null, error: null } as const;
    return codeEnded(state, { at, end, value: null }, cancel.compensate);
  }
  let error: unknown;
  if (outcome.ok) {
    try {
      return { kind: "run.ended", at, status: "completed", reason: null, actor: null, failedKey: null, error: null, value: encode(outcome.value) };
    } catch (unrecordable) {
      error = unrecordable;
    }
  } else {
    error = outcome.error;
  }
  const value = encodeError(error);
  const end = { status: "failed", reason: faultCodeOf(error), actor: null, failedKey, error: summarizeError(value) } as const;
  return codeEnded(state, { at, end, value }, true);
}

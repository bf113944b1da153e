import { openApprovals } from "./asked.ts";
import type { RunEnded } from "./entry.ts";
import { faultCodes } from "./fault.ts";
import { failureFingerprint } from "./fingerprint.ts";
import { limits } from "./limits.ts";
import { isStopping } from "./rollback.ts";
import type { Reason, RunStatus, RunSummary } from "./run.ts";
import type { RunState } from "./run-state.ts";
import { isUnderWay, type StepState } from "./step-state.ts";
import { cutToBytes, type ErrorSummary } from "./value.ts";

/** What a run's state means to somebody outside: status, reason, next wake, summary. All of it derived, none of it stored. */

/** `busy`: the run object is executing workflow code right now, which no journal can tell. */
export function runStatus(state: RunState, busy: boolean): RunStatus {
  if (state.ended) return state.ended.status;
  if (state.blocked) return "blocked";
  if (!state.started) return state.paused ? "paused" : "queued";
  const parked = parkedStep(state) !== null;
  if (state.rollback) return parked || state.paused ? "paused" : "compensating";
  if (isExecuting(state, busy)) return "running";
  return parked || state.paused ? "paused" : "waiting";
}

function isExecuting(state: RunState, busy: boolean): boolean {
  if (busy) return true;
  let waits = 0;
  for (const step of state.open.values()) {
    if (step.kind === "notice") continue;
    // What nobody took stays with the queue while the run is held.
    const isKept = state.paused !== null && step.status === "dispatched";
    if (isUnderWay(step) && !isKept) return true;
    waits++;
  }
  return waits === 0 && !state.paused;
}

export function runReason(state: RunState, busy: boolean): Reason | null {
  if (state.ended) return endReason(state);
  if (state.blocked) return { code: state.blocked.reason, message: state.blocked.message, step: null, until: null };
  const status = runStatus(state, busy);
  const parked = status === "paused" ? parkedStep(state) : null;
  if (parked) return parkedReason(parked);
  if (state.paused) return heldReason(status);
  if (!state.started) return { code: "delayed", message: "The run starts later.", step: null, until: state.created?.startAt ?? null };
  return stoppingReason(state) ?? openReason(state, status);
}

function openReason(state: RunState, status: RunStatus): Reason | null {
  const step = nextDue(state);
  if (state.cancel) return { code: "cancelling", message: "The run was cancelled and is cleaning up.", step: step?.key ?? null, until: null };
  return status === "waiting" && step ? waitReason(step) : null;
}

function heldReason(status: RunStatus): Reason {
  const message = status === "paused" ? "An operator holds the run." : "An operator holds the run; what is under way finishes.";
  return { code: "operator", message, step: null, until: null };
}

function parkedReason(step: StepState): Reason {
  const code = step.kind === "compensation" ? "compensation_failed" : "step_failed";
  return { code, message: `Step ${step.key} failed ${step.failures} times; a person must act.`, step: step.key, until: null };
}

/** Why a rollback does not begin to undo; null: it does, or there is none. */
function stoppingReason(state: RunState): Reason | null {
  if (!isStopping(state)) return null;
  for (const { key, closedFrom } of state.steps.values()) {
    if (closedFrom !== "running" && closedFrom !== "claimed") continue;
    return { code: "stopping", message: `Step ${key} was under way; nothing is undone before its work has stopped.`, step: key, until: null };
  }
  return null;
}

function parkedStep(state: RunState): StepState | null {
  for (const step of state.open.values()) if (step.status === "parked") return step;
  return null;
}

function endReason(state: RunState): Reason | null {
  const ended = state.ended;
  if (!ended || ended.status === "completed") return null;
  const at = ended.failedKey;
  const code = ended.reason ?? failureCode(ended);
  const known = Object.hasOwn(faultCodes, code) ? faultCodes[code as keyof typeof faultCodes].title : null;
  const message =
    known ?? (ended.status === "failed" ? (at ? `The run failed; step ${at} failed.` : "The workflow threw an error.") : `The run was ${ended.status}.`);
  return { code, message, step: at, until: null };
}

function failureCode(ended: RunEnded): string {
  if (ended.status !== "failed") return "operator";
  return ended.failedKey === null ? "workflow_failed" : "step_failed";
}

function waitReason(step: StepState): Reason {
  const until = dueAt(step);
  if (step.status === "retrying")
    return { code: "retry", message: `Step ${step.key} is tried again after attempt ${step.attempt} failed.`, step: step.key, until };
  if (step.wait?.for === "event") return { code: "event", message: `Step ${step.key} waits for the event ${step.wait.event}.`, step: step.key, until };
  if (step.wait?.for === "callback") return { code: "callback", message: `Step ${step.key} waits for its callback.`, step: step.key, until };
  if (step.wait?.for === "approval") return { code: "approval", message: `Step ${step.key} waits for ${approvers(step)}.`, step: step.key, until };
  return { code: "sleep", message: `Step ${step.key} sleeps.`, step: step.key, until };
}

function approvers(step: StepState): string {
  const asked = step.wait?.for === "approval" ? [...step.wait.assignees, ...(step.escalated ? (step.wait.escalation?.assignees ?? []) : [])] : [];
  return asked.length === 0 ? "an approval" : `the approval of ${cutToBytes(asked.join(", "), limits.summaryTextBytes / 4)}`;
}

/** The open step that is due first; the one begun first when none is due by time. */
function nextDue(state: RunState): StepState | null {
  let next: StepState | null = null;
  for (const step of state.open.values()) {
    if (step.kind === "notice") continue;
    if (next === null || (dueAt(step) ?? Number.POSITIVE_INFINITY) < (dueAt(next) ?? Number.POSITIVE_INFINITY)) next = step;
  }
  return next;
}

/** When something is due for an open step: its next attempt or the end of its wait, whichever is first. Null: nothing by time. */
export function dueAt(step: StepState): number | null {
  if (step.retryAt === null) return step.wakeAt;
  return step.wakeAt === null ? step.retryAt : Math.min(step.retryAt, step.wakeAt);
}

/** When the earliest deadline that the journal knows of is due, epoch ms; null when there is none. Leases are the engine's to add. */
export function nextDeadline(state: RunState): number | null {
  if (!state.created || state.ended) return null;
  // While a run is held or blocked, nothing is done for it but telling people.
  const isStill = state.paused !== null || state.blocked !== null;
  const next = Math.min(runDeadline(state), earliestDue(state, isStill));
  return Number.isFinite(next) ? next : null;
}

/** When the run as a whole begins, or times out. */
function runDeadline({ created, started, paused, rollback, deadlineAt }: RunState): number {
  if (paused) return Number.POSITIVE_INFINITY;
  if (!started) return created?.startAt ?? Number.POSITIVE_INFINITY;
  return rollback ? Number.POSITIVE_INFINITY : (deadlineAt ?? Number.POSITIVE_INFINITY);
}

/** Asked after every step of maybe thousands that are open, so it makes no lists. */
function earliestDue(state: RunState, noticesOnly: boolean): number {
  let next = Number.POSITIVE_INFINITY;
  for (const step of state.open.values()) {
    if (!noticesOnly || step.kind === "notice") next = Math.min(next, dueAt(step) ?? Number.POSITIVE_INFINITY);
  }
  return next;
}

/** The step to show for a run: where it failed, what it waits for, or what it began last. */
function currentStep(state: RunState): string | null {
  if (state.ended) return state.ended.failedKey;
  return (parkedStep(state) ?? nextDue(state))?.key ?? null;
}

/** Why a run failed, or what a person must look at. */
function shownError(state: RunState): ErrorSummary | null {
  return state.ended ? state.ended.error : (parkedStep(state)?.parkedError ?? null);
}

/** A run is a dead letter when it stands still for the sake of a parked step. */
function deadLetterFingerprint(state: RunState, workflow: string, busy: boolean): string | null {
  const parked = parkedStep(state);
  if (!parked?.parkedError || state.ended || state.blocked || runStatus(state, busy) !== "paused") return null;
  return failureFingerprint({ workflow, step: parked.name, error: parked.parkedError });
}

/** Call it for a run that exists. `busy` as in `runStatus`. */
export function summarize(state: RunState, busy: boolean): RunSummary {
  const { created, ended } = state;
  if (!created) throw new Error("A run without its first entry has no summary.");
  return {
    namespace: created.namespace,
    id: created.runId,
    workflow: created.workflow,
    version: created.version,
    status: runStatus(state, busy),
    reason: runReason(state, busy),
    step: currentStep(state),
    attributes: created.attributes,
    trigger: created.trigger,
    createdAt: created.at,
    updatedAt: state.lastAt,
    endedAt: ended?.at ?? null,
    nextWakeAt: busy || state.blocked ? null : nextDeadline(state),
    error: shownError(state),
    fingerprint: deadLetterFingerprint(state, created.workflow, busy),
    origin: created.origin,
    approvals: openApprovals(state),
    seq: summarySeq(state, busy),
  };
}

/** The `seq` of the run's summary. A run that comes to rest without a further entry has changed too; one that has ended is at rest. */
export function summarySeq(state: RunState, busy: boolean): number {
  return state.lastSeq * 2 + (busy && !state.ended ? 0 : 1);
}

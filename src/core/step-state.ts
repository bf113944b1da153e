import type {
  ApprovalDecided,
  AttemptClaimed,
  AttemptCompleted,
  AttemptFailed,
  AttemptStarted,
  FailurePolicy,
  Recorded,
  StepEnded,
  StepKind,
  StepOutcome,
  StepParked,
  StepStarted,
  WaitSpec,
} from "./entry.ts";
import { invariant } from "./fault.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type { Encoded, ErrorSummary } from "./value.ts";

/**
 * Where a step stands.
 * `running`: an attempt is under way in the run object. `dispatched`: sent to the queue, not yet taken. `claimed`: an executor works on it.
 * `retrying`: the next attempt has a time. `parked`: its attempts failed, and a person must act. `waiting`: for time, an event or a callback. The other three
 * are final; `cancelled` means the run was cancelled, rolled back or ended while the step was open.
 */
export type StepStatus = "running" | "dispatched" | "claimed" | "retrying" | "parked" | "waiting" | "completed" | "failed" | "cancelled";

export interface StepState {
  readonly key: string;
  readonly name: string;
  readonly count: number;
  readonly kind: StepKind;
  readonly startSeq: number;
  readonly startedAt: number;
  readonly automation: string | null;
  readonly dispatch: "inline" | "queue" | null;
  readonly policy: RetryPolicy | null;
  readonly onFailure: FailurePolicy;
  /** With `continue`: what the workflow goes on with; null: undefined. */
  readonly fallback: Encoded | null;
  readonly compensates: boolean;
  readonly unsafeToRepeat: boolean;
  /** Its output is hidden wherever the run is shown. */
  readonly sensitive: boolean;
  /** The run whose idempotency key the step's attempts sent; null: this one. */
  readonly keyRunId: string | null;
  readonly wait: WaitSpec | null;
  status: StepStatus;
  /** What it was when the run closed it; null unless `cancelled`. Somebody may still be at work on what was running or claimed. */
  closedFrom: StepStatus | null;
  /** The current or last attempt; 0 for a step without attempts. */
  attempt: number;
  attemptStartedAt: number;
  /** When an executor took the attempt; null unless `claimed`, or closed as such. */
  claimedAt: number | null;
  /** When the budget of retries began: the step's start, or the last time a person had it tried again; later by as long as the run was held since. */
  budgetStartedAt: number;
  /** Failed attempts that count against the policy, since the budget began. */
  failures: number;
  /** Attempts in a row that vanished. */
  lostInARow: number;
  /** When the next attempt is due; null unless `retrying`. */
  retryAt: number | null;
  /** When `retryAt` was set. */
  retrySetAt: number;
  /** How long the step was open while its run was held, in ms. */
  heldMs: number;
  /** When the wait ends by itself: the sleep's end, the wait's time-out. Null: never. */
  wakeAt: number | null;
  /** The entry that holds the input: the start, or a person's correction. Null: the step declares none. */
  inputSeq: number | null;
  /** The error of a parked step at a glance; null otherwise. */
  parkedError: ErrorSummary | null;
  /** Of an approval: the decisions so far, one an actor. */
  readonly decisions: ApprovalDecision[];
  /** Of an approval: more people were asked. */
  escalated: boolean;
  /** The entry that ended the step; null while it is open. */
  endSeq: number | null;
  /** The entry that holds the output or the error: the end entry, or the event that ended the wait. Null where there is none. */
  resultSeq: number | null;
  outcome: StepOutcome | null;
  endedAt: number | null;
}

/** A decision on an approval; the form's data stay in the journal. */
export interface ApprovalDecision {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly via: string;
  readonly decision: "approved" | "rejected";
  readonly comment: string | null;
  readonly hasForm: boolean;
}

/** An attempt is under way, here or elsewhere. */
export function isUnderWay(step: StepState): boolean {
  return step.status === "running" || step.status === "dispatched" || step.status === "claimed";
}

export function stepOf(entry: Recorded<StepStarted>): StepState {
  return {
    key: entry.key,
    name: entry.name,
    count: entry.count,
    kind: entry.step,
    startSeq: entry.seq,
    startedAt: entry.at,
    automation: entry.automation,
    dispatch: entry.dispatch,
    policy: entry.policy,
    onFailure: entry.onFailure,
    fallback: entry.fallback,
    compensates: entry.compensates,
    unsafeToRepeat: entry.unsafeToRepeat,
    sensitive: entry.sensitive ?? false,
    keyRunId: entry.keyRunId,
    wait: entry.wait,
    status: entry.dispatch === null ? "waiting" : entry.dispatch === "inline" ? "running" : "dispatched",
    closedFrom: null,
    attempt: entry.dispatch === null ? 0 : 1,
    attemptStartedAt: entry.at,
    claimedAt: null,
    budgetStartedAt: entry.at,
    failures: 0,
    lostInARow: 0,
    retryAt: null,
    retrySetAt: entry.at,
    heldMs: 0,
    wakeAt: entry.wakeAt,
    inputSeq: entry.value !== null || entry.valueOmitted ? entry.seq : null,
    parkedError: null,
    decisions: [],
    escalated: false,
    endSeq: null,
    resultSeq: null,
    outcome: null,
    endedAt: null,
  };
}

export function applyAttemptStarted(step: StepState, entry: Recorded<AttemptStarted>): void {
  invariant(step.status === "retrying" && entry.attempt === step.attempt + 1, `Attempt ${entry.attempt} of ${entry.key} can't start now.`);
  step.status = step.dispatch === "queue" ? "dispatched" : "running";
  step.attempt = entry.attempt;
  step.attemptStartedAt = entry.at;
  step.retryAt = null;
}

export function applyAttemptClaimed(step: StepState, entry: Recorded<AttemptClaimed>): void {
  invariant(step.status === "dispatched" && entry.attempt === step.attempt, `Attempt ${entry.attempt} of ${entry.key} can't be claimed now.`);
  step.status = "claimed";
  step.claimedAt = entry.at;
}

export function applyAttemptCompleted(step: StepState, entry: Recorded<AttemptCompleted>): void {
  invariant(step.wait !== null && entry.attempt === step.attempt && step.status === "running", `Attempt ${entry.attempt} of ${entry.key} can't complete now.`);
  step.status = "waiting";
  step.lostInARow = 0;
}

export function applyAttemptFailed(step: StepState, entry: Recorded<AttemptFailed>): void {
  invariant(entry.attempt === step.attempt && isUnderWay(step), `Attempt ${entry.attempt} of ${entry.key} can't fail now.`);
  step.status = "retrying";
  step.retryAt = entry.retryAt;
  step.retrySetAt = entry.at;
  step.failures += entry.lost ? 0 : 1;
  step.lostInARow = entry.lost ? step.lostInARow + 1 : 0;
}

export function applyStepParked(step: StepState, entry: Recorded<StepParked>): void {
  invariant(entry.attempt === step.attempt && isUnderWay(step), `Attempt ${entry.attempt} of ${entry.key} can't park its step now.`);
  step.status = "parked";
  step.failures++;
  step.lostInARow = 0;
  step.parkedError = entry.error;
}

export function applyStepEnded(step: StepState, entry: Recorded<StepEnded>): void {
  step.resultSeq = entry.eventSeq ?? (entry.value !== null || entry.valueOmitted ? entry.seq : null);
  step.outcome = entry.outcome;
  endStep(step, entry.kind === "step.completed" ? "completed" : "failed", entry);
}

export function applyDecided(step: StepState, entry: Recorded<ApprovalDecided>): void {
  invariant(step.wait?.for === "approval", `Step ${step.key} is no approval.`);
  const { seq, at, actor, via, decision, comment, value, valueOmitted } = entry;
  step.decisions.push({ seq, at, actor, via, decision, comment, hasForm: value !== null || valueOmitted === true });
}

export function applyEscalated(step: StepState): void {
  invariant(step.wait?.for === "approval" && !step.escalated, `Step ${step.key} can't be escalated.`);
  step.escalated = true;
}

/** Has an open step tried again as soon as may be, with a fresh budget. */
export function applyRetry(step: StepState, at: number, correctedInputSeq: number | null): void {
  invariant(step.status === "parked" || step.status === "retrying", `Step ${step.key} is ${step.status} and can't be tried again.`);
  step.status = "retrying";
  step.retryAt = at;
  step.retrySetAt = at;
  step.failures = 0;
  step.lostInARow = 0;
  step.budgetStartedAt = at;
  step.parkedError = null;
  step.inputSeq = correctedInputSeq ?? step.inputSeq;
}

/** The step was open when its run was cancelled, rolled back or ended. */
export function closeStep(step: StepState, entry: { readonly seq: number; readonly at: number }): void {
  step.closedFrom = step.status;
  endStep(step, "cancelled", entry);
}

/** The run was held: for what was set before or meanwhile, time stood still from then on. */
export function shiftTimers(step: StepState, held: { readonly from: number; readonly to: number }): void {
  const heldMs = held.to - Math.max(held.from, step.startedAt);
  step.heldMs += heldMs;
  step.budgetStartedAt += held.to - Math.max(held.from, step.budgetStartedAt);
  if (step.wakeAt !== null) step.wakeAt += heldMs;
  if (step.retryAt !== null) step.retryAt += held.to - Math.max(held.from, step.retrySetAt);
}

function endStep(step: StepState, status: StepStatus, entry: { readonly seq: number; readonly at: number }): void {
  step.status = status;
  step.endSeq = entry.seq;
  step.endedAt = entry.at;
  step.retryAt = null;
  step.wakeAt = null;
  step.parkedError = null;
}

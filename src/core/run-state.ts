import type {
  AttemptClaimed,
  AttemptCompleted,
  AttemptFailed,
  AttemptStarted,
  CancelRequested,
  EventReceived,
  FailurePolicy,
  InstantStep,
  OperatorActed,
  Recorded,
  RunBlocked,
  RunCreated,
  RunEnded,
  StepEnded,
  StepKind,
  StepParked,
  StepStarted,
  WaitSpec,
} from "./entry.ts";
import { invariant } from "./fault.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/**
 * Where a step stands.
 * `running`: an attempt is under way in the run object. `dispatched`: sent to the queue, not yet taken. `claimed`: an executor works on it.
 * `retrying`: the next attempt has a time. `parked`: its attempts failed, and a person must act. `waiting`: for time, an event or a callback. The other three are final;
 * `cancelled` means the run was cancelled or ended while the step was open.
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
  readonly wait: WaitSpec | null;
  status: StepStatus;
  /** The current or last attempt; 0 for a step without attempts. */
  attempt: number;
  attemptStartedAt: number;
  /** When the budget of retries began: the step's start, or the last time a person had it tried again. */
  budgetStartedAt: number;
  /** Failed attempts that count against the policy, since the budget began. */
  failures: number;
  /** Attempts in a row that vanished. */
  lostInARow: number;
  /** When the next attempt is due; null unless `retrying`. */
  retryAt: number | null;
  /** When the wait ends by itself: the sleep's end, the wait's time-out. Null: never. */
  wakeAt: number | null;
  /** The start entry holds an input. */
  readonly hasInput: boolean;
  /** The entry that ended the step; null while it is open. */
  endSeq: number | null;
  /** The entry that holds the output or the error: the end entry, or the event that ended the wait. */
  resultSeq: number | null;
  /** There is an output or an error to read. */
  hasResult: boolean;
  /** For a wait: how it ended. */
  outcome: "arrived" | "timeout" | null;
  endedAt: number | null;
}

/** What happened in the order in which the workflow function saw it: it is replayed in just this order. */
export interface Moment {
  readonly seq: number;
  readonly type: "start" | "end" | "cancel";
  /** The step; empty for `cancel`. */
  readonly key: string;
}

/** An event in the inbox; its payload stays in the journal. */
export interface BufferedEvent {
  readonly seq: number;
  readonly name: string;
  readonly eventKey: string | null;
}

/**
 * What a journal says, folded. It is changed in place, by `applyEntry` alone: a new value per entry would make a run of n steps cost n².
 */
export interface RunState {
  created: Recorded<RunCreated> | null;
  lastSeq: number;
  lastAt: number;
  started: boolean;
  blocked: Recorded<RunBlocked> | null;
  cancel: Recorded<CancelRequested> | null;
  ended: Recorded<RunEnded> | null;
  readonly steps: Map<string, StepState>;
  /** The steps without a result, in order of start. */
  readonly open: Map<string, StepState>;
  readonly moments: Moment[];
  /** Events that no wait has taken yet, in order of arrival. */
  readonly inbox: Map<number, BufferedEvent>;
  readonly eventIds: Set<string>;
  /** Names of properties that are hidden wherever the run is shown. */
  readonly redact: Set<string>;
  /** The key of the step that failed last, for showing where a failed run failed. */
  lastFailedKey: string | null;
}

export function emptyRunState(): RunState {
  return {
    created: null,
    lastSeq: 0,
    lastAt: 0,
    started: false,
    blocked: null,
    cancel: null,
    ended: null,
    steps: new Map(),
    open: new Map(),
    moments: [],
    inbox: new Map(),
    eventIds: new Set(),
    redact: new Set(),
    lastFailedKey: null,
  };
}

/** Folds one more entry in. @throws Fault `invariant` for an entry that can't follow what the journal holds. */
export function applyEntry(state: RunState, entry: Recorded): void {
  invariant(entry.seq === state.lastSeq + 1, `Entry ${entry.seq} can't follow entry ${state.lastSeq}.`);
  invariant(state.ended === null, `Entry ${entry.seq} (${entry.kind}) comes after the run ended.`);
  invariant((entry.kind === "run.created") === (state.created === null), `Entry ${entry.seq} (${entry.kind}) is out of place.`);
  state.lastSeq = entry.seq;
  state.lastAt = Math.max(state.lastAt, entry.at);
  switch (entry.kind) {
    case "run.created":
      state.created = entry;
      state.started = entry.startAt <= entry.at;
      for (const name of entry.redact) state.redact.add(name);
      return;
    case "run.started":
      state.started = true;
      return;
    case "run.blocked":
      state.blocked = entry;
      return;
    case "run.unblocked":
      state.blocked = null;
      for (const step of state.open.values()) step.lostInARow = 0;
      return;
    case "run.cancel_requested":
      state.cancel = entry;
      closeOpenSteps(state, entry);
      state.moments.push({ seq: entry.seq, type: "cancel", key: "" });
      return;
    case "run.ended":
      state.ended = entry;
      closeOpenSteps(state, entry);
      return;
    case "event.received":
      return applyEventReceived(state, entry);
    case "step.started":
      return applyStepStarted(state, entry);
    case "attempt.started":
      return applyAttemptStarted(state, entry);
    case "attempt.claimed":
      return applyAttemptClaimed(state, entry);
    case "attempt.completed":
      return applyAttemptCompleted(state, entry);
    case "attempt.failed":
      return applyAttemptFailed(state, entry);
    case "step.parked":
      return applyStepParked(state, entry);
    case "operator.acted":
      return applyOperatorActed(state, entry);
    case "step.completed":
    case "step.failed":
      return applyStepEnded(state, entry);
    default:
      entry satisfies never;
  }
}

function applyEventReceived(state: RunState, entry: Recorded<EventReceived>): void {
  state.inbox.set(entry.seq, { seq: entry.seq, name: entry.name, eventKey: entry.eventKey });
  state.eventIds.add(entry.eventId);
}

function applyStepStarted(state: RunState, entry: Recorded<StepStarted>): void {
  invariant(!state.steps.has(entry.key), `Step ${entry.key} is started twice.`);
  const step: StepState = {
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
    wait: entry.wait,
    status: entry.dispatch === null ? "waiting" : entry.dispatch === "inline" ? "running" : "dispatched",
    attempt: entry.dispatch === null ? 0 : 1,
    attemptStartedAt: entry.at,
    budgetStartedAt: entry.at,
    failures: 0,
    lostInARow: 0,
    retryAt: null,
    wakeAt: entry.wakeAt,
    hasInput: entry.value !== null,
    endSeq: null,
    resultSeq: null,
    hasResult: false,
    outcome: null,
    endedAt: null,
  };
  for (const name of entry.redact) state.redact.add(name);
  state.steps.set(entry.key, step);
  state.open.set(entry.key, step);
  state.moments.push({ seq: entry.seq, type: "start", key: entry.key });
}

function applyAttemptStarted(state: RunState, entry: Recorded<AttemptStarted>): void {
  const step = openStep(state, entry.key);
  invariant(step.status === "retrying" && entry.attempt === step.attempt + 1, `Attempt ${entry.attempt} of ${entry.key} can't start now.`);
  step.status = step.dispatch === "queue" ? "dispatched" : "running";
  step.attempt = entry.attempt;
  step.attemptStartedAt = entry.at;
  step.retryAt = null;
}

function applyAttemptClaimed(state: RunState, entry: Recorded<AttemptClaimed>): void {
  const step = openStep(state, entry.key);
  invariant(step.status === "dispatched" && entry.attempt === step.attempt, `Attempt ${entry.attempt} of ${entry.key} can't be claimed now.`);
  step.status = "claimed";
}

function applyAttemptCompleted(state: RunState, entry: Recorded<AttemptCompleted>): void {
  const step = openStep(state, entry.key);
  invariant(step.wait !== null && entry.attempt === step.attempt && step.status === "running", `Attempt ${entry.attempt} of ${entry.key} can't complete now.`);
  step.status = "waiting";
  step.lostInARow = 0;
}

function applyAttemptFailed(state: RunState, entry: Recorded<AttemptFailed>): void {
  const step = openStep(state, entry.key);
  invariant(entry.attempt === step.attempt && step.status !== "retrying", `Attempt ${entry.attempt} of ${entry.key} can't fail now.`);
  step.status = "retrying";
  step.retryAt = entry.retryAt;
  step.failures += entry.lost ? 0 : 1;
  step.lostInARow = entry.lost ? step.lostInARow + 1 : 0;
}

function applyStepParked(state: RunState, entry: Recorded<StepParked>): void {
  const step = openStep(state, entry.key);
  invariant(entry.attempt === step.attempt && step.status !== "retrying", `Attempt ${entry.attempt} of ${entry.key} can't park its step now.`);
  step.status = "parked";
  step.failures++;
  step.lostInARow = 0;
  state.lastFailedKey = entry.key;
}

function applyOperatorActed(state: RunState, entry: Recorded<OperatorActed>): void {
  for (const key of entry.keys) {
    const step = openStep(state, key);
    invariant(step.status === "parked", `Step ${key} is not parked.`);
    step.status = "retrying";
    step.retryAt = entry.at;
    step.failures = 0;
    step.budgetStartedAt = entry.at;
  }
}

function applyStepEnded(state: RunState, entry: Recorded<StepEnded>): void {
  if (entry.instant) addInstantStep(state, entry, entry.instant);
  const step = openStep(state, entry.key);
  step.status = entry.kind === "step.completed" ? "completed" : "failed";
  step.endSeq = entry.seq;
  step.resultSeq = entry.eventSeq ?? entry.seq;
  step.hasResult = entry.eventSeq !== null || entry.value !== null;
  step.outcome = entry.outcome;
  step.endedAt = entry.at;
  step.retryAt = null;
  step.wakeAt = null;
  if (entry.kind === "step.failed") state.lastFailedKey = entry.key;
  if (entry.eventSeq !== null) {
    invariant(state.inbox.delete(entry.eventSeq), `Event ${entry.eventSeq} was taken twice.`);
  }
  state.open.delete(entry.key);
  state.moments.push({ seq: entry.seq, type: "end", key: entry.key });
}

function addInstantStep(state: RunState, entry: Recorded<StepEnded>, instant: InstantStep): void {
  applyStepStarted(state, {
    kind: "step.started",
    seq: entry.seq,
    at: entry.at,
    key: entry.key,
    name: instant.name,
    count: instant.count,
    step: instant.step,
    automation: instant.automation,
    dispatch: null,
    policy: null,
    onFailure: "fail",
    wakeAt: null,
    wait: null,
    redact: [],
    value: null,
  });
}

function closeOpenSteps(state: RunState, entry: { readonly seq: number; readonly at: number }): void {
  for (const step of state.open.values()) {
    step.status = "cancelled";
    step.endSeq = entry.seq;
    step.endedAt = entry.at;
    step.retryAt = null;
    step.wakeAt = null;
  }
  state.open.clear();
}

function openStep(state: RunState, key: string): StepState {
  const step = state.open.get(key);
  invariant(step, `Step ${key} is not open.`);
  return step;
}

import type {
  CancelRequested,
  Entry,
  EventReceived,
  InstantStep,
  OperatorActed,
  Recorded,
  RollbackBegun,
  RunBlocked,
  RunCreated,
  RunEnded,
  RunEntry,
  RunPaused,
  RunResumed,
  StepEnded,
  StepStarted,
} from "./entry.ts";
import { Fault, invariant } from "./fault.ts";
import {
  applyAttemptClaimed,
  applyAttemptCompleted,
  applyAttemptFailed,
  applyAttemptStarted,
  applyDecided,
  applyEscalated,
  applyRetry,
  applyStepEnded,
  applyStepParked,
  closeStep,
  type StepState,
  shiftTimers,
  stepOf,
} from "./step-state.ts";

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
  /** When the run times out, epoch ms; null: never. */
  deadlineAt: number | null;
  blocked: Recorded<RunBlocked> | null;
  /** An operator holds the run. */
  paused: Recorded<RunPaused> | null;
  cancel: Recorded<CancelRequested> | null;
  rollback: Recorded<RollbackBegun> | null;
  ended: Recorded<RunEnded> | null;
  readonly steps: Map<string, StepState>;
  /** The steps without a result, in order of start. */
  readonly open: Map<string, StepState>;
  /** The steps that ask people, open and ended. */
  readonly approvals: StepState[];
  /** Moments of the workflow function. Compensations are none: it has ended when they run. */
  readonly moments: Moment[];
  /** Events that no wait has taken yet, in order of arrival. */
  readonly inbox: Map<number, BufferedEvent>;
  readonly eventIds: Set<string>;
  /** Names of properties that are hidden wherever the run is shown. */
  readonly redact: Set<string>;
}

export function emptyRunState(): RunState {
  return {
    created: null,
    lastSeq: 0,
    lastAt: 0,
    started: false,
    deadlineAt: null,
    blocked: null,
    paused: null,
    cancel: null,
    rollback: null,
    ended: null,
    steps: new Map(),
    open: new Map(),
    approvals: [],
    moments: [],
    inbox: new Map(),
    eventIds: new Set(),
    redact: new Set(),
  };
}

/** Folds one more entry in. @throws Fault `invariant` for an entry that can't follow what the journal holds, `newer_version` for one of a kind that is not known. */
export function applyEntry(state: RunState, entry: Recorded): void {
  const misplaced = misplacementOf(state, entry);
  invariant(misplaced === null, misplaced ?? "");
  state.lastSeq = entry.seq;
  state.lastAt = Math.max(state.lastAt, entry.at);
  if (isRunEntry(entry)) applyRunEntry(state, entry);
  else applyStepEntry(state, entry);
}

/** Why an entry can't come next; null: it can. */
function misplacementOf(state: RunState, entry: Recorded): string | null {
  if (entry.seq !== state.lastSeq + 1) return `Entry ${entry.seq} can't follow entry ${state.lastSeq}.`;
  if (state.ended !== null) return `Entry ${entry.seq} (${entry.kind}) comes after the run ended.`;
  if ((entry.kind === "run.created") !== (state.created === null)) return `Entry ${entry.seq} (${entry.kind}) is out of place.`;
  return null;
}

function isRunEntry(entry: Recorded): entry is Recorded<RunEntry> {
  return entry.kind.startsWith("run.");
}

function applyRunEntry(state: RunState, entry: Recorded<RunEntry>): void {
  switch (entry.kind) {
    case "run.created":
      return applyCreated(state, entry);
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
    case "run.paused":
      state.paused = entry;
      return;
    case "run.resumed":
      return applyResumed(state, entry);
    case "run.cancel_requested":
      state.cancel = entry;
      closeOpenSteps(state, entry);
      state.moments.push({ seq: entry.seq, type: "cancel", key: "" });
      return;
    case "run.rollback_begun":
      state.rollback = entry;
      closeOpenSteps(state, entry);
      return;
    case "run.ended":
      state.ended = entry;
      closeOpenSteps(state, entry);
      return;
    default:
      throw unknownKind(entry);
  }
}

function applyStepEntry(state: RunState, entry: Recorded<Exclude<Entry, RunEntry>>): void {
  switch (entry.kind) {
    case "event.received":
      return applyEventReceived(state, entry);
    case "operator.acted":
      return applyOperatorActed(state, entry);
    case "approval.decided":
      return applyDecided(openStep(state, entry.key), entry);
    case "approval.escalated":
      return applyEscalated(openStep(state, entry.key));
    case "step.started":
      return applyStepStarted(state, entry);
    case "attempt.started":
      return applyAttemptStarted(openStep(state, entry.key), entry);
    case "attempt.claimed":
      return applyAttemptClaimed(openStep(state, entry.key), entry);
    case "attempt.completed":
      return applyAttemptCompleted(openStep(state, entry.key), entry);
    case "attempt.failed":
      return applyAttemptFailed(openStep(state, entry.key), entry);
    case "step.parked":
      return applyStepParked(openStep(state, entry.key), entry);
    case "step.completed":
    case "step.failed":
      return applyEnd(state, entry);
    default:
      throw unknownKind(entry);
  }
}

/** Its code knows what the entry means; folding the rest as if it were not there would be wrong. */
function unknownKind(entry: never): Fault {
  const { seq, kind } = entry as Recorded;
  return new Fault("newer_version", `Entry ${seq} is of the kind ${kind}, which this version of Segno does not know.`, { kind });
}

function applyCreated(state: RunState, entry: Recorded<RunCreated>): void {
  state.created = entry;
  state.started = entry.startAt <= entry.at;
  state.deadlineAt = entry.deadlineAt;
  for (const name of entry.redact) state.redact.add(name);
}

/** Timers stood still while the run was held. */
function applyResumed(state: RunState, entry: Recorded<RunResumed>): void {
  invariant(state.paused, "A run that is not held can't be resumed.");
  const held = { from: state.paused.at, to: entry.at };
  state.paused = null;
  if (state.deadlineAt !== null) state.deadlineAt += held.to - held.from;
  // Notices went on meanwhile.
  for (const step of state.open.values()) if (step.kind !== "notice") shiftTimers(step, held);
}

function applyEventReceived(state: RunState, entry: Recorded<EventReceived>): void {
  state.inbox.set(entry.seq, { seq: entry.seq, name: entry.name, eventKey: entry.eventKey });
  state.eventIds.add(entry.eventId);
}

function applyOperatorActed(state: RunState, entry: Recorded<OperatorActed>): void {
  if (entry.action !== "retry" && entry.action !== "resume") return;
  const correctedInputSeq = entry.value !== null || entry.valueOmitted ? entry.seq : null;
  for (const key of entry.keys) applyRetry(openStep(state, key), entry.at, correctedInputSeq);
}

function applyStepStarted(state: RunState, entry: Recorded<StepStarted>): void {
  invariant(!state.steps.has(entry.key), `Step ${entry.key} is started twice.`);
  for (const name of entry.redact) state.redact.add(name);
  const step = stepOf(entry);
  state.steps.set(entry.key, step);
  state.open.set(entry.key, step);
  if (step.kind === "approval") state.approvals.push(step);
  if (isSeenByCode(step)) state.moments.push({ seq: entry.seq, type: "start", key: entry.key });
}

function applyEnd(state: RunState, entry: Recorded<StepEnded>): void {
  if (entry.instant) applyStepStarted(state, startOf(entry, entry.instant));
  const step = openStep(state, entry.key);
  if (entry.eventSeq !== null) invariant(state.inbox.delete(entry.eventSeq), `Event ${entry.eventSeq} was taken twice.`);
  applyStepEnded(step, entry);
  state.open.delete(entry.key);
  if (isSeenByCode(step)) state.moments.push({ seq: entry.seq, type: "end", key: entry.key });
}

function isSeenByCode(step: StepState): boolean {
  return step.kind !== "compensation" && step.kind !== "notice";
}

/** The start that an instant step does not have. */
function startOf(entry: Recorded<StepEnded>, instant: InstantStep): Recorded<StepStarted> {
  const { seq, at, key } = entry;
  const none = { dispatch: null, policy: null, fallback: null, wakeAt: null, wait: null, value: null };
  return { kind: "step.started", seq, at, key, ...instant, ...none, onFailure: "fail", compensates: false, unsafeToRepeat: false, keyRunId: null, redact: [] };
}

/** Notices go on until they are told, or the run has ended. */
function closeOpenSteps(state: RunState, entry: Recorded<RunEntry>): void {
  for (const step of state.open.values()) {
    if (step.kind === "notice" && entry.kind !== "run.ended") continue;
    closeStep(step, entry);
    state.open.delete(step.key);
  }
}

function openStep(state: RunState, key: string): StepState {
  const step = state.open.get(key);
  invariant(step, `Step ${key} is not open.`);
  return step;
}

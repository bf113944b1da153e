import type { Attributes } from "./attributes.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type { Encoded, ErrorSummary } from "./value.ts";

/**
 * The journal's entries: facts in the past tense, appended and never changed. `at` is epoch ms. `value` is the one large part of an entry (an
 * input, an output, a payload or an error) and is stored beside it, so that a journal can be read without it.
 */
export type Entry = RunEntry | StepEntry | EventReceived | ApprovalEntry | OperatorActed;

/** Facts about the run as a whole. */
export type RunEntry = RunCreated | RunStarted | RunBlocked | RunUnblocked | RunPaused | RunResumed | CancelRequested | RollbackBegun | RunEnded;

export type StepEntry = StepStarted | AttemptStarted | AttemptClaimed | AttemptCompleted | AttemptFailed | StepParked | StepEnded;

export interface RunCreated {
  readonly kind: "run.created";
  readonly at: number;
  readonly namespace: string;
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly attributes: Attributes;
  /** When the run begins; equal to `at` unless it was started with a delay. */
  readonly startAt: number;
  /** When the run times out; null: never. */
  readonly deadlineAt: number | null;
  /** When the run counts as late, epoch ms; null: never. */
  readonly lateAt: number | null;
  /** What started it: `api`, or the id of a trigger. */
  readonly trigger: string;
  /** Where this Segno is reached from outside, for the callback URLs that the run mints. */
  readonly publicUrl: string;
  /** Names of properties that are hidden wherever the run is shown. */
  readonly redact: readonly string[];
  /** The run that this one repeats or undoes, and from which step on; null for a run of its own. The entries that follow were copied from it. */
  readonly origin: RunOrigin | null;
  /** The input. */
  readonly value: Encoded;
}

export interface RunOrigin {
  readonly runId: string;
  /** `fork`: goes on from step `step` anew. `rollback`: undoes what that run did. */
  readonly relation: "fork" | "rollback";
  /** The first step that is not taken over; null: all are. */
  readonly step: string | null;
}

/** A delayed run's time has come. A run without delay has no such entry. */
export interface RunStarted {
  readonly kind: "run.started";
  readonly at: number;
}

/** The run can't go on until code or engine are put right. */
export interface RunBlocked {
  readonly kind: "run.blocked";
  readonly at: number;
  readonly reason: BlockReason;
  readonly message: string;
}

export type BlockReason = "version_missing" | "nondeterminism" | "crash_loop" | "stalled";

export interface RunUnblocked {
  readonly kind: "run.unblocked";
  readonly at: number;
}

/** An operator holds the run: what is under way finishes and is recorded, nothing begins, and timers stand still until `run.resumed`. */
export interface RunPaused {
  readonly kind: "run.paused";
  readonly at: number;
}

export interface RunResumed {
  readonly kind: "run.resumed";
  readonly at: number;
}

/** Everything open is closed here and rejects with a `cancelled` fault; what the workflow starts afterwards is its clean-up. */
export interface CancelRequested {
  readonly kind: "run.cancel_requested";
  readonly at: number;
  readonly actor: string;
  readonly reason: string | null;
  /** Whether the compensations run when the clean-up is done. */
  readonly compensate: boolean;
}

/**
 * The run's code is over; from here on it undoes what its steps did, one after the other, and then ends as `end` says. Everything open is closed.
 */
export interface RollbackBegun {
  readonly kind: "run.rollback_begun";
  readonly at: number;
  /** The steps to undo, in this order: the reverse of their start. */
  readonly keys: readonly string[];
  readonly end: RollbackEnd;
  /** The error that it ends with when `end.status` is failed; null otherwise. */
  readonly value: Encoded | null;
}

/** How a run ends when its rollback is done. */
export interface RollbackEnd {
  readonly status: "completed" | "failed" | "cancelled";
  readonly reason: string | null;
  readonly actor: string | null;
  readonly failedKey: string | null;
  readonly error: ErrorSummary | null;
}

/** The last entry. A journal that holds it refuses any other. */
export interface RunEnded {
  readonly kind: "run.ended";
  readonly at: number;
  readonly status: "completed" | "failed" | "cancelled" | "terminated";
  /** A machine-readable word for why, where the status does not say it all: `run_timeout`, `operator`; null otherwise. */
  readonly reason: string | null;
  readonly actor: string | null;
  /** The step whose error, thrown on by the workflow, failed the run; null when none did. */
  readonly failedKey: string | null;
  /** The error at a glance when failed; null otherwise. */
  readonly error: ErrorSummary | null;
  /** The output when completed, the error when failed; null otherwise. */
  readonly value: Encoded | null;
}

/**
 * What happens when a step's retries are exhausted. `fail`: the error is thrown into the workflow. `pause`: the run is parked for a person. `continue`: the
 * failure is recorded and the workflow goes on with the step's fallback. `compensate`: the run rolls back at once and fails.
 */
export type FailurePolicy = "fail" | "pause" | "continue" | "compensate";

/** What a step is. `compensation` undoes another step; `notice` tells somebody of the run. These two are the engine's own, and the code does not see them. Replay that meets another kind under a recorded key blocks the run. */
export type StepKind = "do" | "run" | "sleep" | "event" | "callback" | "value" | "approval" | "compensation" | "notice";

/** A step began: its first attempt, or its wait. The order of these entries is the order of start. */
export interface StepStarted {
  readonly kind: "step.started";
  readonly at: number;
  readonly key: string;
  readonly name: string;
  readonly count: number;
  readonly step: StepKind;
  /** The automation of a `run` step; null for other kinds. */
  readonly automation: string | null;
  /** Where attempts run: in the run object, or by way of the queue. Null for a step that has no attempts. */
  readonly dispatch: "inline" | "queue" | null;
  readonly policy: RetryPolicy | null;
  readonly onFailure: FailurePolicy;
  /** With `continue`: what the workflow goes on with; null: undefined. */
  readonly fallback: Encoded | null;
  /** The step declares how to undo it. */
  readonly compensates: boolean;
  /** Its effect must not happen twice without somebody saying so. */
  readonly unsafeToRepeat: boolean;
  /** Its output is hidden wherever the run is shown. Journals of 0.1.0 do not have it: false. */
  readonly sensitive?: boolean;
  /** The run whose idempotency key the step's attempts sent, where it was taken over from there; null: this run. */
  readonly keyRunId: string | null;
  /** When a wait ends by itself, in epoch ms: the sleep's end or the wait's time-out. Null: never. */
  readonly wakeAt: number | null;
  readonly wait: WaitSpec | null;
  /** As in `run.created`: what the step adds. */
  readonly redact: readonly string[];
  /** The input, where the step declares one. */
  readonly value: Encoded | null;
}

/** What a waiting step waits for, as journaled. `hasSchema`: the code holds a schema for the payload, so it is worth waking the code to check one. */
export type WaitSpec =
  | { readonly for: "event"; readonly event: string /** Null takes an event of any key. */; readonly eventKey: string | null; readonly hasSchema: boolean }
  | { readonly for: "callback"; readonly verify: CallbackVerification | null; readonly hasSchema: boolean }
  | ApprovalSpec;

/** Who is asked, and when they are asked again. Times are ms after the start of the step. */
export interface ApprovalSpec {
  readonly for: "approval";
  readonly assignees: readonly string[];
  /** How many must approve. One rejection rejects. */
  readonly quorum: number;
  readonly hasSchema: boolean;
  /** The form as a JSON schema, for those who show it; null: there is none. */
  readonly form: unknown;
  readonly remindAfterMs: readonly number[];
  /** Null: nobody else is asked. */
  readonly escalation: { readonly afterMs: number; readonly assignees: readonly string[] } | null;
  /** The automation that tells the assignees; null: they look into the inbox. */
  readonly notify: string | null;
}

/** How the caller of a callback proves who it is. `secret` names a binding that holds the secret; the secret itself is never journaled. */
export type CallbackVerification =
  | { readonly scheme: "standard-webhooks"; readonly secret: string }
  | {
      readonly scheme: "hmac";
      readonly secret: string;
      readonly algorithm: "SHA-256" | "SHA-512";
      /** The header with the signature over the raw body. */
      readonly header: string;
      readonly encoding: "hex" | "base64";
      /** What stands before the signature in the header, e.g. `sha256=`. */
      readonly prefix: string;
    };

/** An attempt after the first began. */
export interface AttemptStarted {
  readonly kind: "attempt.started";
  readonly at: number;
  readonly key: string;
  readonly attempt: number;
}

/** An executor took a dispatched attempt; its lease runs from here. */
export interface AttemptClaimed {
  readonly kind: "attempt.claimed";
  readonly at: number;
  readonly key: string;
  readonly attempt: number;
}

/** A callback's request went out; what is left is to wait. (An attempt that ends its step has no entry of its own: `step.completed` tells.) */
export interface AttemptCompleted {
  readonly kind: "attempt.completed";
  readonly at: number;
  readonly key: string;
  readonly attempt: number;
}

/** An attempt ended without success, and another one is due. */
export interface AttemptFailed {
  readonly kind: "attempt.failed";
  readonly at: number;
  readonly key: string;
  readonly attempt: number;
  /** True when the attempt vanished (crash, lost executor); such an attempt does not count against the policy. */
  readonly lost: boolean;
  readonly retryAt: number;
  /** The error. */
  readonly value: Encoded;
}

/** The last attempt failed, and the step's policy leaves it to a person what happens next. The step stays open. */
export interface StepParked {
  readonly kind: "step.parked";
  readonly at: number;
  readonly key: string;
  readonly attempt: number;
  /** The error at a glance. */
  readonly error: ErrorSummary;
  /** The error of the last attempt. */
  readonly value: Encoded;
}

/** An operator did something to the run. What follows from it stands in the entries after this one, of the same commit. */
export interface OperatorActed {
  readonly kind: "operator.acted";
  readonly at: number;
  readonly action: OperatorAction;
  readonly actor: string;
  readonly reason: string | null;
  /** The run's status when the operator acted. */
  readonly before: string;
  /** The steps acted on; empty for the run as a whole. */
  readonly keys: readonly string[];
  /** The corrected input of a `retry`, or the output of a `complete`; null otherwise. */
  readonly value: Encoded | null;
}

/**
 * `retry`: an open step is tried again, with a fresh budget of retries, and with a corrected input if one is given. `complete`: it ends with an output given
 * by hand. `skip`: it ends without one. `fail`: it ends with an error that the workflow sees. `resume`: a held run goes on, and its parked steps are tried again. The others
 * act on the run as a whole.
 */
export type OperatorAction = "retry" | "complete" | "skip" | "fail" | "pause" | "resume" | "cancel" | "terminate" | "discard" | "rollback";

/** The step's result, recorded once and for ever. */
export interface StepEnded {
  readonly kind: "step.completed" | "step.failed";
  readonly at: number;
  readonly key: string;
  /** The attempt that decided it; 0 for a step without attempts. */
  readonly attempt: number;
  /** Set when the step ended as it began and so has no start entry of its own (a deterministic value; a call that could not begin): what it is. */
  readonly instant: InstantStep | null;
  /** For a wait that an event ended: the entry that holds the payload. */
  readonly eventSeq: number | null;
  readonly outcome: StepOutcome | null;
  /** The output or the error; null where there is none, or where `eventSeq` points to it. */
  readonly value: Encoded | null;
}

export interface InstantStep {
  readonly name: string;
  readonly count: number;
  readonly step: StepKind;
  readonly automation: string | null;
}

/** How a step came to its end where that is not its action's doing. For a wait: `arrived` or `timeout`. By an operator: `skipped`, or `by_hand`. */
export type StepOutcome = "arrived" | "timeout" | "approved" | "rejected" | "skipped" | "by_hand";

export type ApprovalEntry = ApprovalDecided | ApprovalEscalated;

/** Somebody decided on an approval. */
export interface ApprovalDecided {
  readonly kind: "approval.decided";
  readonly at: number;
  readonly key: string;
  readonly actor: string;
  /** How the decision came: `api`, `link` or `slack`. */
  readonly via: string;
  readonly decision: "approved" | "rejected";
  readonly comment: string | null;
  /** The form's data; null: none. */
  readonly value: Encoded | null;
}

/** Nobody decided in time, and more people are asked. */
export interface ApprovalEscalated {
  readonly kind: "approval.escalated";
  readonly at: number;
  readonly key: string;
  readonly assignees: readonly string[];
}

/** An event or callback payload arrived. It stays in the inbox until a wait takes it. */
export interface EventReceived {
  readonly kind: "event.received";
  readonly at: number;
  /** Dedupes repeats of the same event for as long as the run lives. */
  readonly eventId: string;
  readonly name: string;
  readonly eventKey: string | null;
  readonly value: Encoded;
}

/** An entry with its place in the journal. Entries are numbered from 1 without gaps. */
export type Recorded<E extends Entry = Entry> = E & {
  readonly seq: number;
  /** True when the journal holds a value that was not loaded with the entry; read it by `seq`. */
  readonly valueOmitted?: boolean;
};

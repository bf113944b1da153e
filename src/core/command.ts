import { z } from "zod";
import type { Attributes } from "./attributes.ts";
import type { CallbackVerification, FailurePolicy, StepOutcome } from "./entry.ts";
import type { FailureVerdict, RetryPolicy } from "./retry-policy.ts";
import type { RunSummary } from "./run.ts";
import type { Encoded } from "./value.ts";

/** What can be asked of a run, and what it answers. Every command may be repeated: the second time changes nothing and tells what is. */

export interface StartCommand {
  readonly namespace: string;
  readonly runId: string;
  readonly workflow: string;
  /** Null: the newest registered version. */
  readonly version: string | null;
  readonly input: Encoded;
  /** Beside those that the workflow derives from its input; these win. */
  readonly attributes: Attributes;
  readonly delayMs: number;
  readonly trigger: string;
  /** Scheme and host under which this Segno is reached from outside. */
  readonly publicUrl: string;
}

export interface Started extends RunDetail {
  /** False when a run with this id and the same workflow and input existed before. */
  readonly created: boolean;
}

export interface EventCommand {
  readonly eventId: string;
  readonly name: string;
  readonly eventKey: string | null;
  readonly payload: Encoded;
}

export interface EventAccepted {
  /** True when an event with this id had arrived before. */
  readonly duplicate: boolean;
  /** The key of the step whose wait took it; null when it is buffered. */
  readonly step: string | null;
}

/** What the API must check before it lets a callback in. */
export interface CallbackTerms {
  readonly verify: CallbackVerification | null;
}

/** Something that an operator asks of a run: who, and why. */
export interface OperatorCommand {
  readonly actor: string;
  readonly reason: string | null;
  /** The journal's length when the operator looked at the run; null: it does not matter. A run that has changed since refuses with `stale`. */
  readonly expectedSeq: number | null;
}

/** Something that an operator asks of a step. */
export interface StepCommand extends OperatorCommand {
  readonly key: string;
  /** The corrected input of a retry, the output of a completion, the error of a failure; null: none. */
  readonly value: Encoded | null;
}

/** Everything that an operator can ask of a run, by the word that its journal keeps. */
export type Operation =
  | (OperatorCommand & { readonly action: "pause" | "resume" | "terminate" | "discard" })
  | (OperatorCommand & { readonly action: "cancel"; readonly compensate: boolean })
  /** `from`: the first step that is undone, with all that began after it; null: everything is. */
  | (OperatorCommand & { readonly action: "rollback"; readonly from: string | null })
  | (StepCommand & { readonly action: "retry" | "complete" | "skip" | "fail" });

/** A queue message: ids only. It is a hint; the run decides whether there is something to do. */
export const StepMessage = z.object({ namespace: z.string(), runId: z.string(), key: z.string(), attempt: z.number() });
export type StepMessage = z.infer<typeof StepMessage>;

export interface AttemptRef {
  readonly key: string;
  readonly attempt: number;
}

export type Claim =
  | { readonly granted: false; readonly why: "not_open" | "other_attempt" | "taken" | "paused" }
  | {
      readonly granted: true;
      /** False for a notice whose run has ended: nobody records its outcome, so the queue's own retries must do. */
      readonly recorded: boolean;
      readonly automation: string;
      readonly input: Encoded;
      readonly idempotencyKey: string;
      /** How long the attempt may take, in ms, by the clock of whoever makes it: clocks differ, and a run's time may be ahead of them all. */
      readonly timeoutMs: number;
      /** The end of that time by the clock of the run, epoch ms: executors of 0.1.0 know nothing else. */
      readonly deadlineAt: number;
      /** Renew well before this many ms have passed, or the attempt counts as lost. */
      readonly leaseMs: number;
    };

export type AttemptOutcome = { readonly ok: true; readonly value: Encoded } | ({ readonly ok: false; readonly error: Encoded } & FailureVerdict & Undelivered);

interface Undelivered {
  /** The queue says that nobody took the attempt. It speaks of one message: another one of the same attempt may have been taken, and then this counts for nothing. */
  readonly undelivered?: boolean;
}

/** `recorded`: this outcome counts. `ignored`: the attempt was over already (duplicate, late, or the run ended); nothing was changed. */
export type Settled = "recorded" | "ignored";

/** A run whole, for the API. Values are encoded; the API projects them to JSON. */
export interface RunDetail {
  readonly run: RunSummary;
  readonly input: Encoded;
  /** Null unless completed. */
  readonly output: Encoded | null;
  /** Null unless failed. */
  readonly error: Encoded | null;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly startedAt: number;
  /** Null while it is under way. */
  readonly endedAt: number | null;
  readonly outcome: "completed" | "failed" | "lost" | "cancelled" | null;
  readonly error: Encoded | null;
}

/** An approval as it stands. */
export interface ApprovalRecord {
  /** Who is asked, those of the escalation too once it has come. */
  readonly assignees: readonly string[];
  readonly quorum: number;
  /** The form as a JSON schema; null: there is none. */
  readonly form: unknown;
  readonly escalated: boolean;
  readonly decisions: readonly {
    readonly actor: string;
    readonly via: string;
    readonly decision: "approved" | "rejected";
    readonly comment: string | null;
    readonly at: number;
    readonly form: Encoded | null;
  }[];
}

export interface StepRecord {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly automation: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** When it goes on by itself; null: nothing by time. */
  readonly wakeAt: number | null;
  /** For a wait that is over: how it ended. */
  readonly outcome: StepOutcome | null;
  readonly idempotencyKey: string;
  /** Retries and time-outs; null for a step without attempts. */
  readonly policy: RetryPolicy | null;
  readonly onFailure: FailurePolicy;
  /** It declares how to undo it. */
  readonly compensates: boolean;
  readonly unsafeToRepeat: boolean;
  readonly input: Encoded | null;
  readonly output: Encoded | null;
  readonly error: Encoded | null;
  readonly attempts: readonly AttemptRecord[];
  /** For an open callback: the address to call. */
  readonly callbackUrl: string | null;
  /** Of an approval; null for other steps. */
  readonly approval: ApprovalRecord | null;
  /** Where the step stands in the journal; pages follow it. */
  readonly seq: number;
}

/** Part of a list. A page ends at the asked length, or earlier where its values would not fit into one message. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Ask for what comes after this entry; null when this is the last page. */
  readonly next: number | null;
}

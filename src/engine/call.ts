import type { FailurePolicy, StepKind, StepOutcome } from "#core/entry.ts";
import type { RetryPolicy } from "#core/retry-policy.ts";
import type { StepState } from "#core/step-state.ts";
import type { RetryIf } from "#sdk/errors.ts";

/** A step call by a workflow function: what the step is, how it begins, and what the function gets. */

/** A step call before it has an identity. */
export interface CallRequest {
  readonly name: string;
  readonly kind: StepKind;
  readonly automation: string | null;
  /** Builds what is journaled at the start; not asked when the journal knows the step. What it throws becomes the step's failure. */
  readonly begin: Begin;
  /** Runs one attempt in the run object. Null for steps without such attempts. */
  readonly attempt: ((context: AttemptArguments) => unknown) | null;
  readonly retryIf: RetryIf | undefined;
  /** How to undo the step; null: it declares nothing. */
  readonly compensation: { readonly policy: RetryPolicy; readonly retryIf: RetryIf | undefined; readonly run: (context: UndoArguments) => unknown } | null;
  /** Turns what was recorded into what the author gets. */
  readonly result: (recorded: RecordedResult) => unknown;
  /** Says what is wrong with a payload; empty when nothing is. */
  readonly issues: (payload: unknown) => readonly string[];
}

export interface Call extends CallRequest {
  readonly key: string;
  readonly count: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How a step begins: with a first attempt or wait (`started`), or as a value that is there at once (`instant`). */
export type Begin =
  | { readonly type: "started"; readonly fields: (now: number) => StartFields }
  | { readonly type: "instant"; readonly value: (now: number) => unknown };

export interface StartFields {
  readonly dispatch: "inline" | "queue" | null;
  readonly policy: StepState["policy"];
  readonly wakeAt: number | null;
  readonly wait: StepState["wait"];
  readonly redact: readonly string[];
  readonly onFailure: FailurePolicy;
  readonly fallback: string | null;
  readonly compensates: boolean;
  readonly unsafeToRepeat: boolean;
  readonly sensitive?: boolean;
  readonly value: string | null;
}

export interface AttemptArguments {
  readonly key: string;
  /** When the step's wait ends, for a callback; null: never. */
  readonly wakeAt: number | null;
  readonly input: unknown;
  readonly attempt: number;
  readonly signal: AbortSignal;
}

export interface UndoArguments extends AttemptArguments {
  readonly output: unknown;
  readonly inDoubt: boolean;
  readonly undoneKey: string;
  readonly stepAttempt: number;
  /** What failed the run; undefined where somebody asked for the rollback. */
  readonly error: unknown;
}

export interface RecordedResult {
  /** Of an approval. */
  readonly decisions: readonly RecordedDecision[];
  readonly escalated: boolean;
  readonly outcome: StepOutcome | null;
  readonly value: unknown;
  readonly at: number;
}

export interface RecordedDecision {
  readonly actor: string;
  readonly at: number;
  readonly decision: "approved" | "rejected";
  readonly comment: string | null;
  readonly form: unknown;
}

import type { Duration } from "#core/duration.ts";
import type { RetryOptions } from "#core/retry-policy.ts";
import type { AttemptContext } from "./automation.ts";
import type { RetryIf } from "./errors.ts";

/** What undoes a step gets. `idempotencyKey` is the compensation's own; that of the step stands beside it, for finding out what it did. */
export interface CompensationContext<Input, Output> extends AttemptContext {
  readonly input: Input;
  /** What the step returned; undefined when it is in doubt. */
  readonly output: Output | undefined;
  /** The step failed, timed out or was cut off: its effect may or may not be there. */
  readonly inDoubt: boolean;
  /** The key that the step's attempts sent. */
  readonly stepIdempotencyKey: string;
  /** The last attempt of the step, from 1. */
  readonly stepAttempt: number;
  /** What failed the run, as it was recorded; undefined when an operator asked for the rollback. */
  readonly error: unknown;
}

/**
 * How to undo a step. It runs when the run fails, is cancelled with compensation, or is rolled back: in reverse order of start, one at a time, each a step of its
 * own with retries. One that keeps failing parks the run for a person; it is never skipped in silence.
 *
 * The first begins when the attempts that were under way have stopped. Their `signal` tells them to; one in the run's object that does not heed it is waited for as long as 15 s, one on the queue until its
 * time is over.
 */
export type Compensation<Input, Output> =
  | ((context: CompensationContext<Input, Output>) => unknown)
  | {
      readonly run: (context: CompensationContext<Input, Output>) => unknown;
      readonly retries?: RetryOptions;
      readonly retryIf?: RetryIf;
      /** Per attempt. Default `"10m"`. */
      readonly timeout?: Duration;
    };

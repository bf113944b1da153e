import { compensationKey, isInDoubt } from "#core/rollback.ts";
import type { RunState } from "#core/run-state.ts";
import type { StepState } from "#core/step-state.ts";
import { decode } from "#core/value.ts";
import type { Call, StartFields } from "./call.ts";
import type { Journal } from "./ports.ts";

/** Undoing a step is the call of a step of its own: journaled, retried and parked like any other. */

export interface UndoSource {
  readonly state: RunState;
  readonly journal: Journal;
  readonly inputOf: (step: StepState) => unknown;
}

/** The call that undoes `step`, which `call` made; null when the code does not say how. */
export function undoCall(call: Call, step: StepState, source: UndoSource): Call | null {
  const { compensation } = call;
  if (!compensation) return null;
  const { policy, retryIf, run } = compensation;
  const fields: StartFields = {
    dispatch: "inline",
    policy,
    wakeAt: null,
    wait: null,
    redact: [],
    onFailure: "pause",
    fallback: null,
    compensates: false,
    unsafeToRepeat: false,
    value: null,
  };
  return {
    ...call,
    key: compensationKey(step.key),
    name: compensationKey(step.name),
    kind: "compensation",
    begin: { type: "started", fields: () => fields },
    attempt: (args) => {
      const inDoubt = isInDoubt(step);
      const output = inDoubt || step.resultSeq === null ? undefined : decode(source.journal.value(step.resultSeq));
      const { signal } = args;
      return run({
        ...args,
        signal,
        input: source.inputOf(step),
        output,
        inDoubt,
        undoneKey: step.key,
        stepAttempt: step.attempt,
        error: failureUndone(source),
      });
    },
    retryIf,
  };
}

/** What failed the run that is rolled back; undefined when no error did. */
function failureUndone({ state, journal }: UndoSource): unknown {
  const { rollback } = state;
  const value = rollback?.valueOmitted ? journal.value(rollback.seq) : rollback?.value;
  return typeof value === "string" ? decode(value) : undefined;
}

import type { Operation, OperatorCommand } from "#core/command.ts";
import { Fault, faultCodeOf } from "#core/fault.ts";
import { journalSeq, type RunSummary } from "#core/run.ts";
import type { Encoded } from "#core/value.ts";
import type { RunHandle } from "#objects/runs.ts";

/** A dead letter: a run that stands still because a step of it waits for a person. The run alone knows whether it still is one. */

/** What is asked of a dead letter. */
export interface DeadLetterAct {
  readonly action: "redrive" | "discard";
  readonly operator: OperatorCommand;
  /** The corrected input of the step that waits; null: none. */
  readonly input: Encoded | null;
}

/** A run that is known to be a dead letter, and the step that waits. */
export interface DeadLetter {
  readonly run: RunSummary;
  readonly step: string;
  readonly fingerprint: string;
}

/** Null for a run that is none. */
export function deadLetterOf(run: RunSummary): DeadLetter | null {
  return run.fingerprint === null || run.step === null ? null : { run, step: run.step, fingerprint: run.fingerprint };
}

/** How often a run that changes between the look and the act is looked at again. */
const looks = 4;

/**
 * Tries again what waits in a run, or gives the run up. The act counts for the run as it was looked at only, so of two that come at once one wins.
 * @throws Fault `not_paused` when the run is no dead letter (any more), whether it goes on or has ended; `run_not_found`; `stale` when the operator looked at
 * another state of it.
 */
export async function actOnDeadLetter(handle: RunHandle, act: DeadLetterAct): Promise<RunSummary> {
  for (let look = 1; ; look++) {
    const { run } = await handle.detail(0);
    if (act.action === "discard" && isDiscarded(run)) return run;
    try {
      return await handle.operate(operationOf(act, mustBeDeadLetter(run)));
    } catch (error) {
      if (!hasChangedMeanwhile(error, act) || look === looks) throw error;
    }
  }
}

/** As `actOnDeadLetter`, for one that the index knows: the run is asked once, unless it has changed since. */
export async function actOnIndexed(handle: RunHandle, act: DeadLetterAct, indexed: DeadLetter): Promise<void> {
  try {
    await handle.operate(operationOf(act, indexed));
  } catch (error) {
    if (!hasChangedMeanwhile(error, act)) throw error;
    await actOnDeadLetter(handle, act);
  }
}

/** The next look tells what the run is now. Who named the state to act on is told of the change instead. */
function hasChangedMeanwhile(error: unknown, act: DeadLetterAct): boolean {
  const code = faultCodeOf(error);
  return code === "run_ended" || (code === "stale" && act.operator.expectedSeq === null);
}

function operationOf({ action, operator, input }: DeadLetterAct, { run, step }: DeadLetter): Operation {
  const asked = { ...operator, expectedSeq: operator.expectedSeq ?? journalSeq(run) };
  if (action === "discard") return { ...asked, action };
  return input === null ? { ...asked, action: "resume" } : { ...asked, action: "retry", key: step, value: input };
}

function mustBeDeadLetter(run: RunSummary): DeadLetter {
  const letter = deadLetterOf(run);
  if (letter) return letter;
  throw new Fault("not_paused", `The run is ${run.status}; no step of it waits for a person.`, { status: run.status });
}

function isDiscarded(run: RunSummary): boolean {
  return run.status === "terminated" && run.reason?.code === "discarded";
}

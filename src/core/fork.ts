import type { Entry, OperatorActed, Recorded, RunCreated, RunOrigin } from "./entry.ts";
import { Fault } from "./fault.ts";
import type { RunState } from "./run-state.ts";
import type { StepState } from "./step-state.ts";
import type { Encoded } from "./value.ts";

/** A fork: a new run that takes over what another recorded before a step, and goes on from there anew. */

/** What a fork keeps and what happens again. Steps by key, in order of start. */
export interface ForkPlan {
  readonly kept: readonly string[];
  readonly repeated: readonly string[];
  /** Of those repeated, the ones whose effect must not happen twice without somebody saying so. */
  readonly unsafe: readonly string[];
}

/** What a new run takes over from another. */
export interface TakenOver {
  readonly origin: RunOrigin;
  /** The other run's input, as it was sent. */
  readonly input: Encoded;
  readonly entries: readonly Entry[];
}

/** The plan of a fork that begins anew with `from`. @throws Fault `step_not_found`, or `step_state` for a step that can't be begun from. */
export function forkPlan(state: RunState, from: string): ForkPlan {
  const first = state.steps.get(from);
  if (!first) throw new Fault("step_not_found", `The run has no step ${from}.`, { step: from });
  const isCleanUp = state.cancel !== null && first.startSeq > state.cancel.seq;
  if (isCleanUp || !isOfCode(first))
    throw new Fault("step_state", `Step ${from} is not the workflow's own, or cleaned up after it; nothing begins from there.`, { step: from });
  const steps = [...state.steps.values()].filter(isOfCode);
  const repeated = steps.filter((step) => !isKept(step, first));
  return {
    kept: steps.filter((step) => isKept(step, first)).map((step) => step.key),
    repeated: repeated.map((step) => step.key),
    unsafe: repeated.filter((step) => step.unsafeToRepeat && step.attempt > 0).map((step) => step.key),
  };
}

/** The engine's own steps are no part of what the code does. */
function isOfCode(step: StepState): boolean {
  return step.kind !== "compensation" && step.kind !== "notice";
}

/** A step is kept when its result was there before the first repeated step began: the code may have looked at it. */
function isKept(step: StepState, first: StepState): boolean {
  return (step.status === "completed" || step.status === "failed") && step.endSeq !== null && step.endSeq < first.startSeq;
}

/** The entries that a fork takes over. */
export function entriesForFork(entries: readonly Recorded[], plan: ForkPlan, from: Source): readonly Entry[] {
  const kept = new Set(plan.kept);
  return entries.flatMap((entry): readonly Entry[] => {
    if (entry.kind === "operator.acted") return takenAct(entry, (key) => kept.has(key), from);
    return "key" in entry && kept.has(entry.key) ? [plain(entry, from)] : [];
  });
}

/**
 * The entries that a run takes over to undo them: what steps did, where they were cancelled, and what was undone before. How the run was held, ended and told of is its own
 * affair, and a compensation that was not finished begins anew.
 */
export function entriesForRollback(state: RunState, entries: readonly Recorded[], from: Source): readonly Entry[] {
  const isTaken = (key: string): boolean => {
    const step = state.steps.get(key);
    return step !== undefined && (isOfCode(step) || (step.kind === "compensation" && step.status === "completed"));
  };
  return entries.flatMap((entry): readonly Entry[] => {
    if (entry.kind === "run.cancel_requested") return [plain(entry, from)];
    if (entry.kind === "operator.acted") return takenAct(entry, isTaken, from);
    return "key" in entry && isTaken(entry.key) ? [plain(entry, from)] : [];
  });
}

/** Of an operator's acts, those count that had a step tried again. */
function takenAct(entry: Recorded<OperatorActed>, isTaken: (key: string) => boolean, from: Source): readonly Entry[] {
  const keys = entry.keys.filter(isTaken);
  const isRetry = entry.action === "retry" || entry.action === "resume";
  return keys.length > 0 && isRetry ? [plain({ ...entry, keys }, from)] : [];
}

/** The run that entries are taken from. */
export interface Source {
  readonly runId: string;
  /** Reads a value that is not beside its entry. */
  readonly readValue: (seq: number) => Encoded;
}

/** An entry for another journal: without its number, with its value, with the payload of the event it points to, and with the key that its attempts sent. */
function plain(entry: Recorded, from: Source): Entry {
  const { seq, valueOmitted, ...rest } = entry;
  if ((rest.kind === "step.completed" || rest.kind === "step.failed") && rest.eventSeq !== null) {
    return { ...rest, value: from.readValue(rest.eventSeq), eventSeq: null };
  }
  const whole = valueOmitted ? ({ ...rest, value: from.readValue(seq) } as Entry) : rest;
  return whole.kind === "step.started" ? { ...whole, keyRunId: whole.keyRunId ?? from.runId } : whole;
}

/** A run of this id exists: was it made from the same run, in the same way? @throws Fault `run_exists`. */
export function checkSameOrigin(created: Recorded<RunCreated>, origin: RunOrigin): void {
  const { origin: known } = created;
  if (known && known.runId === origin.runId && known.relation === origin.relation && known.step === origin.step) return;
  throw new Fault("run_exists", `Run ${created.runId} exists already, and not as this ${origin.relation}. Nothing was started; use another id.`, {
    runId: created.runId,
  });
}

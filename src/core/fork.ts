import type { Entry, Recorded, RunCreated, RunOrigin } from "./entry.ts";
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
  if (isCleanUp || first.kind === "compensation")
    throw new Fault("step_state", `Step ${from} cleaned up after the run; nothing begins from there.`, { step: from });
  const steps = [...state.steps.values()].filter((step) => step.kind !== "compensation");
  const repeated = steps.filter((step) => !isKept(step, first));
  return {
    kept: steps.filter((step) => isKept(step, first)).map((step) => step.key),
    repeated: repeated.map((step) => step.key),
    unsafe: repeated.filter((step) => step.unsafeToRepeat && step.attempt > 0).map((step) => step.key),
  };
}

/** A step is kept when its result was there before the first repeated step began: the code may have looked at it. */
function isKept(step: StepState, first: StepState): boolean {
  return (step.status === "completed" || step.status === "failed") && step.endSeq !== null && step.endSeq < first.startSeq;
}

/** The entries that a fork takes over. */
export function entriesForFork(entries: readonly Recorded[], plan: ForkPlan, from: Source): readonly Entry[] {
  const kept = new Set(plan.kept);
  return entries.flatMap((entry): readonly Entry[] => {
    if (entry.kind === "operator.acted") {
      const keys = entry.keys.filter((key) => kept.has(key));
      return keys.length > 0 && (entry.action === "retry" || entry.action === "resume") ? [plain({ ...entry, keys }, from)] : [];
    }
    return "key" in entry && kept.has(entry.key) ? [plain(entry, from)] : [];
  });
}

/** The entries that a run takes over to undo them: what steps did, and where they were cancelled. How the run was held or ended is its own affair. */
export function entriesForRollback(entries: readonly Recorded[], from: Source): readonly Entry[] {
  const taken = entries.filter((entry) => entry.kind !== "event.received" && (entry.kind === "run.cancel_requested" || !entry.kind.startsWith("run.")));
  return taken.map((entry) => plain(entry, from));
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

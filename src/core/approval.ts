import type { Approval } from "./asked.ts";
import { refuseIfEnded, stepEnded } from "./decision.ts";
import type { Entry } from "./entry.ts";
import { Fault } from "./fault.ts";
import type { RunState } from "./run-state.ts";
import type { Encoded } from "./value.ts";

/** Approvals: who decides, and when it is decided. */

export interface DecideCommand {
  readonly key: string;
  /** Who decides. A second decision of the same actor is a repeat, or refused. */
  readonly actor: string;
  readonly via: "api" | "link" | "slack";
  readonly decision: "approved" | "rejected";
  readonly comment: string | null;
  /** The form's data; null: none. */
  readonly form: Encoded | null;
}

/** @throws Fault `step_not_found` for what is no approval. */
export function approvalOf(state: RunState, key: string): Approval {
  const step = state.steps.get(key);
  if (step?.wait?.for !== "approval") throw new Fault("step_not_found", `The run has no approval ${key}.`, { step: key });
  return { step, spec: step.wait };
}

/**
 * A decision: recorded, and the end of the approval when it rejects or completes the quorum. Empty for a repeat.
 * @throws Fault `already_decided` when the approval is over or the actor decided otherwise; `step_not_found`, `run_ended`.
 */
export function decided(state: RunState, command: DecideCommand, at: number): readonly Entry[] {
  const { step, spec } = approvalOf(state, command.key);
  const { key, actor, via, decision, comment, form } = command;
  const earlier = step.decisions.find((it) => it.actor === actor);
  if (earlier?.decision === decision) return [];
  if (earlier) throw new Fault("already_decided", `${actor} has ${earlier.decision} ${key} before.`, { step: key, decision: earlier.decision });
  if (step.endSeq === null) refuseIfEnded(state);
  const isOver = step.endSeq !== null || (state.paused === null && step.wakeAt !== null && step.wakeAt <= at);
  if (isOver)
    throw new Fault("already_decided", `The approval ${key} is over: ${step.outcome ?? step.status}.`, { step: key, outcome: step.outcome ?? step.status });
  const entries: Entry[] = [{ kind: "approval.decided", at, key, actor, via, decision, comment, value: form }];
  if (decision === "rejected") entries.push(stepEnded(step, "step.completed", { at, outcome: "rejected" }));
  else if (step.decisions.length + 1 >= spec.quorum) entries.push(stepEnded(step, "step.completed", { at, outcome: "approved" }));
  return entries;
}

import type { ApprovalSpec } from "./entry.ts";
import { limits } from "./limits.ts";
import type { OpenApproval } from "./run.ts";
import type { RunState } from "./run-state.ts";
import type { StepState } from "./step-state.ts";
import { utf8Bytes } from "./value.ts";

/** Who is asked for an approval, since when, and until when. */

export interface Approval {
  readonly step: StepState;
  readonly spec: ApprovalSpec;
}

/** Who is asked: the assignees, and after the escalation those too. */
export function askedPeople({ step, spec }: Approval): readonly string[] {
  return step.escalated && spec.escalation ? [...spec.assignees, ...spec.escalation.assignees] : spec.assignees;
}

/** When more people are asked, epoch ms; infinity: never, or they were. */
export function escalateAt(step: StepState): number {
  if (step.wait?.for !== "approval" || step.endSeq !== null || step.escalated || !step.wait.escalation) return Number.POSITIVE_INFINITY;
  return step.startedAt + step.heldMs + step.wait.escalation.afterMs;
}

/** The approvals that wait for a decision, in order of start; as many as a summary holds. */
export function openApprovals(state: RunState): OpenApproval[] {
  const found: OpenApproval[] = [];
  let sizeBytes = 0;
  for (const step of state.approvals) {
    if (step.wait?.for !== "approval" || step.endSeq !== null) continue;
    const approval = openApproval({ step, spec: step.wait });
    const bytes = utf8Bytes(JSON.stringify(approval));
    // What does not fit comes in when another one is decided; until then it is found in its run.
    if (sizeBytes + bytes > limits.shownApprovalsBytes) continue;
    sizeBytes += bytes;
    found.push(approval);
  }
  return found;
}

function openApproval(approval: Approval): OpenApproval {
  const { step, spec } = approval;
  const { key, name, startedAt: since, wakeAt: until } = step;
  const dueAt = spec.escalation ? since + spec.escalation.afterMs : until;
  return { key, name, assignees: [...askedPeople(approval)], quorum: spec.quorum, decided: step.decisions.length, since, until, dueAt };
}

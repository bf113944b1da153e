import { durationMs } from "#core/duration.ts";
import type { ApprovalSpec } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { jsonSchemaOf } from "#core/json-schema.ts";
import type { ApprovalOptions, ApprovalResult, Decision } from "#sdk/step.ts";
import type { CallRequest, RecordedDecision, RecordedResult, StartFields } from "./call.ts";
import { checkBy, issueLines } from "./schema-check.ts";

/** `step.approval`: what is journaled when people are asked, and what the workflow gets when they have answered. */

type ApprovalCall = Pick<CallRequest, "kind" | "begin" | "issues" | "result">;

export function approvalCall(options: ApprovalOptions<unknown>, fields: (wait: ApprovalSpec, now: number) => StartFields): ApprovalCall {
  return {
    kind: "approval",
    begin: { type: "started", fields: (now) => fields(approvalSpec(options), now) },
    issues: (form) => {
      const checked = options.form && checkBy(options.form, form);
      return checked?.fits === false ? issueLines(checked.issues) : [];
    },
    result: (recorded) => approvalResult(options, recorded),
  };
}

/** @throws Fault `invalid_step` for a quorum that can't be reached, or reminders without anybody to tell. */
function approvalSpec(options: ApprovalOptions<unknown>): ApprovalSpec {
  const { assignees, form, quorum = 1, notify, reminders = [], escalation } = options;
  if (!Number.isInteger(quorum) || quorum < 1) throw new Fault("invalid_step", `An approval's quorum is a whole number from 1; got ${quorum}.`);
  if (reminders.length > 0 && !notify) throw new Fault("invalid_step", "An approval's reminders need `notify`, the automation that tells the assignees.");
  return {
    for: "approval",
    assignees,
    quorum,
    hasSchema: form !== undefined,
    form: form ? jsonSchemaOf(form) : null,
    remindAfterMs: reminders.map(durationMs).sort((a, b) => a - b),
    escalation: escalation ? { afterMs: durationMs(escalation.after), assignees: escalation.assignees } : null,
    notify: notify?.name ?? null,
  };
}

function approvalResult(options: ApprovalOptions<unknown>, recorded: RecordedResult): ApprovalResult<unknown> {
  const { outcome, escalated } = recorded;
  const decisions = recorded.decisions.map((decision) => decisionOf(options, decision));
  const last = recorded.decisions.at(-1);
  if (outcome === "rejected" && last) return { ok: false, reason: "rejected", escalated, decisions, by: last.actor, comment: last.comment };
  if (outcome === "timeout" || outcome === "skipped") return { ok: false, reason: outcome, escalated, decisions };
  const form = outcome === "approved" ? decisions.at(-1)?.form : recorded.value;
  return { ok: true, escalated, decisions, form };
}

function decisionOf(options: ApprovalOptions<unknown>, decision: RecordedDecision): Decision<unknown> {
  const { actor, at, comment, form } = decision;
  // Only an approval's form was checked when it came; what somebody sent along with a rejection is theirs.
  const isChecked = decision.decision === "approved" && form !== undefined && options.form !== undefined;
  return { actor, at: new Date(at), comment, form: isChecked ? options.form?.parse(form) : form };
}

import type { DecideCommand } from "#core/approval.ts";
import type { ApprovalRecord } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import type { RunSummary } from "#core/run.ts";
import { decode } from "#core/value.ts";
import type { FakeRun } from "./fake-runs.ts";

/** As the real runs do: an actor counts once, one rejection rejects, a form must have what its schema requires. */
export function decide(writes: unknown[], run: FakeRun, command: DecideCommand): RunSummary {
  const { key, actor, via, decision, comment, form } = command;
  const step = run.steps.find((it) => it.key === key);
  if (!step?.approval) throw new Fault("step_not_found");
  const { approval } = step;
  const earlier = approval.decisions.find((it) => it.actor === actor);
  if (earlier?.decision === decision) return run.summary;
  if (earlier || step.endedAt !== null) throw new Fault("already_decided", undefined, { step: key, outcome: step.outcome ?? step.status });
  if (decision === "approved") checkForm(approval, form);
  writes.push(["decide", command]);
  const decisions = [...approval.decisions, { actor, via, decision, comment, at: run.created.at, form }];
  const isOver = decision === "rejected" || decisions.length >= approval.quorum;
  const end = isOver ? ({ status: "completed", outcome: decision, endedAt: run.created.at } as const) : {};
  run.steps = run.steps.map((it) => (it === step ? { ...step, ...end, approval: { ...approval, decisions } } : it));
  return run.summary;
}

function checkForm({ form: schema }: ApprovalRecord, form: string | null): void {
  const required: readonly string[] = (schema as { required?: string[] } | null)?.required ?? [];
  const given = form === null ? {} : (decode(form) as object);
  const issues = required.filter((name) => !Object.hasOwn(given, name)).map((name) => `${name}: It is missing.`);
  if (issues.length > 0) throw new Fault("invalid_payload", "The payload does not fit.", { issues });
}

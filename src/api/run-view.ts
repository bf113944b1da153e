import type { z } from "@hono/zod-openapi";
import type { ApprovalRecord, AttemptRecord, RunDetail, StepRecord } from "#core/command.ts";
import type { Recorded } from "#core/entry.ts";
import { journalSeq, type RunSummary } from "#core/run.ts";
import { encodeError } from "#core/value.ts";
import type { AttemptView, EntryView, RunDetailView, RunView, StepView } from "./contract.ts";
import { presentOptional, presentValue, type ValueForm } from "./values.ts";

/** What runs, steps and entries look like from outside: times as ISO texts, values as the caller asked for them. */

/** A run at a glance. */
export function presentRun(run: RunSummary): z.infer<typeof RunView> {
  const { seq: _seq, approvals: _approvals, reason, createdAt, updatedAt, endedAt, nextWakeAt, ...others } = run;
  return {
    ...others,
    reason: reason && { ...reason, until: isoTime(reason.until) },
    createdAt: isoText(createdAt),
    updatedAt: isoText(updatedAt),
    endedAt: isoTime(endedAt),
    nextWakeAt: isoTime(nextWakeAt),
    seq: journalSeq(run),
  };
}

/** A run with its values. */
export function presentDetail(detail: RunDetail, form: ValueForm): z.infer<typeof RunDetailView> {
  return {
    ...presentRun(detail.run),
    input: presentValue(detail.input, form),
    output: presentOptional(detail.output, form),
    error: presentError(detail, form),
  };
}

/** In JSON it has all that the summary of an error has, so that it reads the same in a list and alone. A run that waits for a person has but the summary. */
function presentError({ run, error }: RunDetail, form: ValueForm): unknown {
  if (form === "json") return error === null ? run.error : Object.assign({}, run.error, presentValue(error, form));
  return error ?? (run.error && encodeError(errorOf(run.error)));
}

function errorOf({ name, message, code }: NonNullable<RunSummary["error"]>): Error {
  return plainError(Object.assign(new Error(message), { name, ...(code !== null && { code }) }));
}

/** An error without a stack: where this code made it is of no interest to anybody. */
export function plainError(error: Error): Error {
  return Object.defineProperty(error, "stack", { value: undefined });
}

/** A step with its attempts. */
export function presentStep(step: StepRecord, form: ValueForm): z.infer<typeof StepView> {
  return {
    ...step,
    startedAt: isoText(step.startedAt),
    endedAt: isoTime(step.endedAt),
    wakeAt: isoTime(step.wakeAt),
    input: presentOptional(step.input, form),
    output: presentOptional(step.output, form),
    error: presentOptional(step.error, form),
    attempts: step.attempts.map((attempt) => presentAttempt(attempt, form)),
    approval: step.approval && presentApproval(step.approval, form),
  };
}

/** One try of a step. */
export function presentAttempt(attempt: AttemptRecord, form: ValueForm): z.infer<typeof AttemptView> {
  return {
    ...attempt,
    startedAt: isoText(attempt.startedAt),
    endedAt: isoTime(attempt.endedAt),
    error: presentOptional(attempt.error, form),
  };
}

function presentApproval(approval: ApprovalRecord, form: ValueForm): NonNullable<z.infer<typeof StepView>["approval"]> {
  return {
    ...approval,
    assignees: [...approval.assignees],
    decisions: approval.decisions.map((decision) => ({ ...decision, at: isoText(decision.at), form: presentOptional(decision.form, form) })),
  };
}

const timeFields = ["startAt", "deadlineAt", "wakeAt", "retryAt"];

/** A journal entry. */
export function presentEntry(entry: Recorded, form: ValueForm): z.infer<typeof EntryView> {
  const { seq, at, kind, valueOmitted: _omitted, ...others } = entry;
  const fields = Object.entries(others).map(([name, field]) => [name, timeFields.includes(name) && typeof field === "number" ? isoText(field) : field]);
  const value = "value" in entry ? presentOptional(entry.value, form) : null;
  return { seq, at: isoText(at), kind, ...Object.fromEntries(fields), value };
}

function isoTime(at: number | null): string | null {
  return at === null ? null : isoText(at);
}

/** A time as it travels. */
export function isoText(at: number): string {
  return new Date(at).toISOString();
}

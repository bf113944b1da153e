import type { z } from "@hono/zod-openapi";
import type { RunDetail, StepRecord } from "#core/command.ts";
import type { Recorded } from "#core/entry.ts";
import type { RunSummary } from "#core/run.ts";
import type { EntryView, RunDetailView, RunView, StepView } from "./contract.ts";
import { presentOptional, presentValue, type ValueForm } from "./values.ts";

/** What runs, steps and entries look like from outside: times as ISO texts, values as the caller asked for them. */

/** A run at a glance. */
export function presentRun(run: RunSummary): z.infer<typeof RunView> {
  const { seq: _seq, reason, createdAt, updatedAt, endedAt, nextWakeAt, ...others } = run;
  return {
    ...others,
    reason: reason && { ...reason, until: isoTime(reason.until) },
    createdAt: isoText(createdAt),
    updatedAt: isoText(updatedAt),
    endedAt: isoTime(endedAt),
    nextWakeAt: isoTime(nextWakeAt),
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

/** In JSON it has all that the summary of an error has, so that it reads the same in a list and alone. */
function presentError({ run, error }: RunDetail, form: ValueForm): unknown {
  if (error === null || form === "devalue") return error;
  return Object.assign({}, run.error, presentValue(error, form));
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
    attempts: step.attempts.map((attempt) => ({
      ...attempt,
      startedAt: isoText(attempt.startedAt),
      endedAt: isoTime(attempt.endedAt),
      error: presentOptional(attempt.error, form),
    })),
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

function isoText(at: number): string {
  return new Date(at).toISOString();
}

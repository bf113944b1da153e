import type { StepRecord } from "#core/command.ts";
import type { FailurePolicy } from "#core/entry.ts";
import type { RetryPolicy } from "#core/retry-policy.ts";

/** What a workflow's steps do when they fail, read from what its runs recorded. */

/** One step of a workflow, as its runs showed it. */
export interface ExplainedStep {
  /** Its place among the steps: by the newest run, then those that only older runs had. */
  readonly order: number;
  readonly name: string;
  readonly kind: string;
  readonly automation: string | null;
  /** As the newest run recorded it; so are the four that follow. */
  readonly policy: RetryPolicy | null;
  readonly onFailure: FailurePolicy;
  readonly compensates: boolean;
  readonly unsafeToRepeat: boolean;
  readonly next: string;
  readonly seen: number;
  readonly failed: number;
  readonly retried: number;
  readonly parked: number;
  /** Of those that completed, ms; null: none has. */
  readonly durationMs: { readonly p50: number; readonly max: number } | null;
}

/** The steps of some runs, newest run first, by name. Compensations and notices are no steps of the workflow. */
export function explainSteps(runs: readonly (readonly StepRecord[])[]): ExplainedStep[] {
  const byName = new Map<string, StepRecord[]>();
  for (const step of runs.flat()) {
    if (step.kind === "compensation" || step.kind === "notice") continue;
    byName.set(step.name, [...(byName.get(step.name) ?? []), step]);
  }
  return [...byName.values()].map((steps, index) => explained(steps, index + 1));
}

function explained(steps: readonly StepRecord[], order: number): ExplainedStep {
  const [newest] = steps;
  if (!newest) throw new RangeError("A name without a step.");
  const { name, kind, automation, policy, onFailure, compensates, unsafeToRepeat } = newest;
  return {
    order,
    name,
    kind,
    automation,
    policy,
    onFailure,
    compensates,
    unsafeToRepeat,
    next: whatComesNext(newest),
    seen: steps.length,
    failed: steps.filter((step) => step.status === "failed").length,
    retried: steps.filter((step) => step.attempts.length > 1).length,
    parked: steps.filter((step) => step.status === "parked").length,
    durationMs: durationsOf(steps),
  };
}

function durationsOf(steps: readonly StepRecord[]): ExplainedStep["durationMs"] {
  const found = steps.flatMap((step) => (step.status === "completed" && step.endedAt !== null ? [step.endedAt - step.startedAt] : [])).sort((a, b) => a - b);
  const p50 = found[Math.floor((found.length - 1) / 2)];
  const max = found.at(-1);
  return p50 === undefined || max === undefined ? null : { p50, max };
}

const afterwards: Readonly<Record<FailurePolicy, string>> = {
  fail: "the error is thrown into the workflow; if it is not caught, the run fails, and the steps that declare how are undone.",
  pause: "the run is parked until a person acts.",
  continue: "the failure is recorded, and the workflow goes on with the step's fallback.",
  compensate: "the run rolls back: the steps that declare how are undone, in reverse order of start.",
};

/** What happens when the step fails, in one sentence. */
function whatComesNext({ policy, onFailure }: Pick<StepRecord, "policy" | "onFailure">): string {
  if (!policy) return "It makes no attempt that could fail; how it ends is a result that the workflow sees.";
  return `${retriesText(policy)}${afterwards[onFailure]}`;
}

function retriesText(policy: RetryPolicy): string {
  const { limit, delayMs, backoff, maxDelayMs, totalTimeoutMs, timeoutMs } = policy;
  const attempt = timeoutMs === null ? "An attempt that fails" : `An attempt that fails, or takes longer than ${durationText(timeoutMs)},`;
  if (limit === 0) return `${attempt} is not tried again: `;
  const growth = { constant: "each time", linear: "longer each time", exponential: "doubling" }[backoff];
  const cap = backoff === "constant" ? "" : ` up to ${durationText(maxDelayMs)}`;
  const budget = totalTimeoutMs === null ? "" : ` and for ${durationText(totalTimeoutMs)} in all`;
  return `${attempt} is tried again ${limit === 1 ? "once" : `up to ${limit} times`}, after ${durationText(delayMs)}, ${growth}${cap}${budget}; then `;
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

function durationText(ms: number): string {
  const unit = units.find(([, length]) => ms >= length && ms % length === 0);
  return unit ? `${ms / unit[1]}${unit[0]}` : `${ms}ms`;
}

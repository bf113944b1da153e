import type { Entry, Recorded, RunEntry, StepEntry, StepStarted } from "#core/entry.ts";
import { undoneKey } from "#core/rollback.ts";
import { decode, type Encoded, summarizeError } from "#core/value.ts";
import { slackMs } from "./workflow-step.ts";

/** An event without what is the same of all events. */
type Told = WorkflowInstanceEvent extends infer One ? (One extends unknown ? Omit<One, "instanceId" | "eventId" | "timestamp"> : never) : never;

interface KnownStep {
  readonly kind: StepStarted["step"];
  /** With its counter, as `charge-1`. */
  readonly stepName: string;
}

/** One entry tells of at most so many events, so that an event's id grows with the journal. */
const eventsPerEntry = 10;

/** Turns the entries of a journal, from the first on, into an instance's events. It remembers the steps, since only their first entry tells what they are. */
export class InstanceEvents {
  readonly #instanceId: string;
  readonly #steps = new Map<string, KnownStep>();
  readonly #counts = new Map<string, number>();
  #rollsBack = false;

  constructor(instanceId: string) {
    this.#instanceId = instanceId;
  }

  /** What an entry tells of, in order. */
  of(entry: Recorded): readonly WorkflowInstanceEvent[] {
    const common = { instanceId: this.#instanceId, timestamp: entry.at };
    return this.#told(entry).map((told, index) => ({ ...told, ...common, eventId: entry.seq * eventsPerEntry + index }) as WorkflowInstanceEvent);
  }

  #told(entry: Entry): readonly Told[] {
    if (entry.kind.startsWith("run.")) return this.#runEvents(entry as RunEntry);
    return isStepEntry(entry) ? this.#stepEvents(entry) : [];
  }

  #runEvents(entry: RunEntry): readonly Told[] {
    switch (entry.kind) {
      case "run.created":
        return entry.startAt > entry.at ? [{ type: "workflow_queued" }] : [{ type: "workflow_queued" }, ...started(entry.value)];
      case "run.started":
        return started(null);
      case "run.paused":
        return [{ type: "workflow_paused" }];
      case "run.resumed":
        return [{ type: "workflow_running" }];
      case "run.rollback_begun":
        this.#rollsBack = true;
        return [{ type: "rollback_started" }];
      case "run.ended":
        return [...(this.#rollsBack ? [{ type: "rollback_completed" } as const] : []), ending(entry.status, entry.value)];
      default:
        return [];
    }
  }

  #stepEvents(entry: StepEntry): readonly Told[] {
    if (entry.kind === "step.started") this.#learn(entry.key, entry.name, entry.step);
    if ((entry.kind === "step.completed" || entry.kind === "step.failed") && entry.instant) this.#learn(entry.key, entry.instant.name, entry.instant.step);
    const step = this.#steps.get(entry.key);
    if (!step) return [];
    const { stepName } = step;
    if (step.kind === "sleep") return sleepEvents(entry, stepName);
    if (step.kind === "event") return waitEvents(entry, stepName);
    if (step.kind !== "compensation") return attemptEvents(entry, stepName);
    return attemptEvents(entry, stepName).map((told) => rollbackOf(told));
  }

  /** Counters are of a name and a kind. */
  #learn(key: string, name: string, kind: StepStarted["step"]): void {
    const undone = kind === "compensation" ? this.#steps.get(undoneKey(key)) : undefined;
    const counter = `${kind} ${name}`;
    const count = (this.#counts.get(counter) ?? 0) + 1;
    this.#counts.set(counter, count);
    this.#steps.set(key, { kind, stepName: undone?.stepName ?? `${name}-${count}` });
  }
}

function isStepEntry(entry: Entry): entry is StepEntry {
  return "key" in entry && !entry.kind.startsWith("approval.");
}

function started(params: Encoded | null): readonly Told[] {
  return [{ type: "workflow_started", ...(params !== null && { params: decode(params) }) }, { type: "workflow_running" }];
}

function ending(status: "completed" | "failed" | "cancelled" | "terminated", value: Encoded | null): Told {
  if (status === "completed") return { type: "workflow_completed", output: value === null ? undefined : decode(value) };
  return status === "failed" ? { type: "workflow_errored", error: errorOf(value) } : { type: "workflow_terminated" };
}

function sleepEvents(entry: StepEntry, stepName: string): readonly Told[] {
  if (entry.kind === "step.started") return [{ type: "sleep_started", stepName, durationMs: Math.max(0, (entry.wakeAt ?? entry.at) - entry.at) }];
  return entry.kind === "step.completed" ? [{ type: "sleep_completed", stepName }] : [];
}

function waitEvents(entry: StepEntry, stepName: string): readonly Told[] {
  if (entry.kind === "step.started") return [{ type: "wait_started", stepName, eventType: entry.wait?.for === "event" ? entry.wait.event : "" }];
  if (entry.kind !== "step.completed") return [];
  return [{ type: entry.outcome === "timeout" ? "wait_timed_out" : "wait_completed", stepName }];
}

function attemptEvents(entry: StepEntry, stepName: string): readonly Told[] {
  switch (entry.kind) {
    case "step.started":
      return [
        { type: "step_started", stepName, ...(entry.policy && { config: configOf(entry.policy) }) },
        { type: "attempt_started", stepName, attempt: 1 },
      ];
    case "attempt.started":
      return [{ type: "attempt_started", stepName, attempt: entry.attempt }];
    case "attempt.failed":
      return [{ type: "attempt_errored", stepName, attempt: entry.attempt, retryDelayMs: entry.retryAt - entry.at, error: errorOf(entry.value) }];
    case "step.completed":
      return [
        { type: "attempt_completed", stepName, attempt: entry.attempt },
        { type: "step_completed", stepName, ...(entry.value !== null && { output: decode(entry.value) }) },
      ];
    case "step.parked":
    case "step.failed":
      return [
        { type: "attempt_errored", stepName, attempt: entry.attempt, error: errorOf(entry.value) },
        { type: "step_errored", stepName },
      ];
    default:
      return [];
  }
}

/** The same, told of undoing. */
function rollbackOf(told: Told): Told {
  const { type, ...fields } = told;
  return { type: `rollback_${type}`, ...fields } as Told;
}

function configOf({ limit, delayMs, backoff, timeoutMs }: NonNullable<StepStarted["policy"]>) {
  return { retries: { limit, delay: delayMs, backoff }, timeout: (timeoutMs ?? slackMs) - slackMs };
}

function errorOf(value: Encoded | null): { name: string; message: string } {
  const { name, message } = value === null ? { name: "Error", message: "" } : summarizeError(value);
  return { name, message };
}

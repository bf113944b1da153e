import { z } from "zod";
import { Fault } from "./fault.ts";
import { limits } from "./limits.ts";

export const runStatuses = ["queued", "running", "waiting", "paused", "blocked", "compensating", "completed", "failed", "cancelled", "terminated"] as const;

/** Where a run stands. The last four are final. */
export const RunStatus = z.enum(runStatuses);
export type RunStatus = z.infer<typeof RunStatus>;

export function isFinal(status: RunStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled" || status === "terminated";
}

/** Why a run is where it is: the one answer to "why is this run not moving?". */
export const Reason = z.object({
  /** A stable word: `sleep`, `event`, `callback`, `retry`, `delayed`, `version_missing`, `nondeterminism`, `crash_loop`, `stalled`, `cancelling`, `stopping`, `run_timeout`, `operator`, `workflow_failed`, `step_failed`, or a fault code. */
  code: z.string(),
  /** One sentence for a person. */
  message: z.string(),
  /** The key of the step concerned; null where it is none. */
  step: z.string().nullable(),
  /** When the run goes on by itself, epoch ms; null when something else must happen first. */
  until: z.number().nullable(),
});
export type Reason = z.infer<typeof Reason>;

const AttributeValue = z.union([z.string(), z.number(), z.boolean()]);

/** An approval that waits for a decision, as the inbox shows it. Times are epoch ms. */
export const OpenApproval = z.object({
  key: z.string(),
  name: z.string(),
  /** Who is asked, those of the escalation too once it has come. */
  assignees: z.array(z.string()),
  /** How many must approve, and how many have. */
  quorum: z.number(),
  decided: z.number(),
  since: z.number(),
  /** When it ends by itself; null: never. */
  until: z.number().nullable(),
  /** When it counts as overdue: when more people are asked, or when it ends by itself. Null: never. */
  dueAt: z.number().nullable(),
});
export type OpenApproval = z.infer<typeof OpenApproval>;

/** What is known of a run at a glance: what the index holds and lists show. `seq` grows with every change, so the newest summary wins. */
export const RunSummary = z.object({
  namespace: z.string(),
  id: z.string(),
  workflow: z.string(),
  version: z.string(),
  status: RunStatus,
  reason: Reason.nullable(),
  /** The key of the step the run is at, or failed at; null before the first and after success. */
  step: z.string().nullable(),
  attributes: z.record(z.string(), AttributeValue),
  trigger: z.string(),
  /** Epoch ms, all of them. */
  createdAt: z.number(),
  updatedAt: z.number(),
  endedAt: z.number().nullable(),
  /** The run's next deadline while it waits; null when there is none, or while its code executes. The sweeper looks for those that are overdue. */
  nextWakeAt: z.number().nullable(),
  /** Why it failed, or the error of the step that waits for a person; null otherwise. */
  error: z.object({ name: z.string(), message: z.string(), code: z.string().nullable() }).nullable(),
  /** Set for a dead letter, and only then: the mark of its failure, the same for runs that failed the same way. */
  fingerprint: z.string().nullable(),
  /** The run that this one repeats or undoes, and from which step on; null for a run of its own. */
  origin: z.object({ runId: z.string(), relation: z.enum(["fork", "rollback"]), step: z.string().nullable() }).nullable(),
  /** What waits for somebody's decision. The index keeps them apart from the run: what it answers has none. */
  approvals: z.array(OpenApproval).default([]),
  seq: z.number(),
});
export type RunSummary = z.infer<typeof RunSummary>;

/** The length of the journal that a summary tells of: what an operator who looked at it names as `expectedSeq`. */
export function journalSeq(run: Pick<RunSummary, "seq">): number {
  return Math.floor(run.seq / 2);
}

const runIdForm = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** @throws Fault `invalid_id`. A run id goes into object names, URLs and headers, so its alphabet is small. */
export function checkRunId(id: string): void {
  if (id.length > limits.runIdLength || !runIdForm.test(id)) {
    throw new Fault("invalid_id", `A run id is 1 to ${limits.runIdLength} letters, digits, ".", "_" or "-", and begins with a letter or digit.`);
  }
}

import type { RetryPolicy } from "#core/retry-policy.ts";
import type { RunStatus } from "#core/run.ts";
import { decode } from "#core/value.ts";

/** Runs, steps and entries as the client hands them out: times are Dates, recorded values are what they were when they were recorded. */

/** Why a run is where it is. */
export interface Reason {
  readonly code: string;
  readonly message: string;
  readonly step: string | null;
  /** When the run goes on by itself; null: something else must happen first. */
  readonly until: Date | null;
}

/** An error at a glance. */
export interface ErrorSummary {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
}

/** A run at a glance. */
export interface Run {
  readonly namespace: string;
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly reason: Reason | null;
  /** The key of the step the run is at, or failed at. */
  readonly step: string | null;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly trigger: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Null as long as the run has not ended. */
  readonly endedAt: Date | null;
  readonly nextWakeAt: Date | null;
  /** Why it failed, or the error of the step that waits for a person; null otherwise. */
  readonly error: ErrorSummary | null;
  /** Set for a dead letter, and only then: the same for runs that failed the same way. */
  readonly fingerprint: string | null;
  /** The run that this one repeats or undoes, and from which step on; null for a run of its own. */
  readonly origin: { readonly runId: string; readonly relation: "fork" | "rollback"; readonly step: string | null } | null;
  /** The length of the journal: what `expectedSeq` is compared with. */
  readonly seq: number;
}

/** A run with its values. `error` is the error itself, with its own properties. */
export interface RunDetail<Output = unknown> extends Omit<Run, "error"> {
  readonly input: unknown;
  /** Null unless completed. */
  readonly output: Output | null;
  /** As for `Run`; of a failed run, with its own properties. */
  readonly error: Error | null;
}

/** One try of a step. */
export interface Attempt {
  readonly attempt: number;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** Null while it is under way. */
  readonly outcome: "completed" | "failed" | "lost" | "cancelled" | null;
  readonly error: Error | null;
}

/** A step with its attempts. Its values are null where nothing is recorded. */
export interface Step {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly automation: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly wakeAt: Date | null;
  /** How a wait ended, or that an operator ended the step. */
  readonly outcome: "arrived" | "timeout" | "approved" | "rejected" | "skipped" | "by_hand" | null;
  readonly idempotencyKey: string;
  /** Retries and time-outs; null for a step without attempts. */
  readonly policy: RetryPolicy | null;
  /** What happens when its retries are exhausted. */
  readonly onFailure: "fail" | "pause" | "continue" | "compensate";
  /** It declares how to undo it. */
  readonly compensates: boolean;
  readonly unsafeToRepeat: boolean;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: Error | null;
  readonly attempts: readonly Attempt[];
  /** The address that an open callback waits to be called at. */
  readonly callbackUrl: string | null;
  /** Of an approval; null for other steps. */
  readonly approval: ApprovalState | null;
  readonly seq: number;
}

/** An approval as it stands. */
export interface ApprovalState {
  readonly assignees: readonly string[];
  readonly quorum: number;
  /** JSON Schema; null: there is no form. */
  readonly form: unknown;
  readonly escalated: boolean;
  readonly decisions: readonly {
    readonly actor: string;
    readonly via: string;
    readonly decision: "approved" | "rejected";
    readonly comment: string | null;
    readonly at: Date;
    readonly form: unknown;
  }[];
}

/** What somebody did to a run: an operator's act, or a decision on an approval. */
export interface AuditRecord {
  readonly seq: number;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly reason: string | null;
  /** The steps acted on; empty for the run as a whole. */
  readonly keys: readonly string[];
  /** The run's status when it was done, and right after it. */
  readonly before: string;
  readonly after: string;
  /** The corrected input or the form's data; null: none. */
  readonly value: unknown;
}

/** A journal entry. Its other fields depend on its kind. */
export interface JournalEntry {
  readonly seq: number;
  readonly at: Date;
  readonly kind: string;
  readonly value: unknown;
  readonly [field: string]: unknown;
}

/** A run that waits for a person because a step failed. */
export interface DeadLetter {
  readonly run: Run;
  /** The key of the step that waits. */
  readonly step: string;
  /** The step's input as it is recorded; null where the step declares none. */
  readonly input: unknown;
  /** The error of the last attempt. */
  readonly error: Error | null;
  readonly attempts: readonly Attempt[];
  readonly version: string;
  readonly fingerprint: string;
  readonly seq: number;
}

/** Dead letters that failed the same way. */
export interface DeadLetterGroup {
  readonly fingerprint: string;
  readonly workflow: string;
  /** The step's name, without its count. */
  readonly step: string;
  /** Of the one that changed last. */
  readonly error: ErrorSummary;
  readonly count: number;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  /** Some of them, newest first. */
  readonly runIds: readonly string[];
}

const timeFields = [
  "at",
  "startAt",
  "deadlineAt",
  "retryAt",
  "createdAt",
  "updatedAt",
  "startedAt",
  "endedAt",
  "nextWakeAt",
  "wakeAt",
  "until",
  "firstSeenAt",
  "lastSeenAt",
];

/** A run at a glance, from the API's JSON. */
export function readRun(json: unknown): Run {
  return withDates(json) as unknown as Run;
}

/** A run with its values, from the API's JSON. */
export function readDetail<Output>(json: unknown): RunDetail<Output> {
  return withValues(withDates(json), ["input", "output", "error"]) as unknown as RunDetail<Output>;
}

/** A step, from the API's JSON. */
export function readStep(json: unknown): Step {
  const step = withValues(withDates(json), ["input", "output", "error"]);
  const attempts = listOf(step["attempts"]).map(readAttempt);
  return { ...step, attempts, approval: step["approval"] === null ? null : readApproval(step["approval"]) } as unknown as Step;
}

function readAttempt(json: unknown): Attempt {
  return withValues(withDates(json), ["error"]) as unknown as Attempt;
}

function readApproval(json: unknown): ApprovalState {
  const approval = recordOf(json);
  const decisions = listOf(approval["decisions"]).map((decision) => withValues(withDates(decision), ["form"]));
  return { ...approval, decisions } as unknown as ApprovalState;
}

/** A record of the audit, from the API's JSON. */
export function readAuditRecord(json: unknown): AuditRecord {
  return withValues(withDates(json), ["value"]) as unknown as AuditRecord;
}

/** A dead letter, from the API's JSON. */
export function readDeadLetter(json: unknown): DeadLetter {
  const letter = withValues(recordOf(json), ["input", "error"]);
  return { ...letter, run: readRun(letter["run"]), attempts: listOf(letter["attempts"]).map(readAttempt) } as unknown as DeadLetter;
}

/** A group of dead letters, from the API's JSON. */
export function readDeadLetterGroup(json: unknown): DeadLetterGroup {
  return withDates(json) as unknown as DeadLetterGroup;
}

/** An entry, from the API's JSON. */
export function readEntry(json: unknown): JournalEntry {
  return withValues(withDates(json), ["value"]) as unknown as JournalEntry;
}

/** The items of a page, and where the next one begins. */
export function readPage<T>(json: unknown, field: string, read: (item: unknown) => T): { readonly items: readonly T[]; readonly nextCursor: string | null } {
  const { [field]: items, nextCursor } = recordOf(json);
  return { items: listOf(items).map(read), nextCursor: typeof nextCursor === "string" ? nextCursor : null };
}

function withDates(json: unknown): Record<string, unknown> {
  const dated = Object.entries(recordOf(json)).map(([name, value]) => [name, timeFields.includes(name) && typeof value === "string" ? new Date(value) : value]);
  const record: Record<string, unknown> = Object.fromEntries(dated);
  return typeof record["reason"] === "object" && record["reason"] !== null ? { ...record, reason: withDates(record["reason"]) } : record;
}

/** Values come as devalue texts; null says that nothing is recorded. */
function withValues(record: Record<string, unknown>, fields: readonly string[]): Record<string, unknown> {
  const values = fields.map((name) => [name, typeof record[name] === "string" ? decode(record[name]) : null]);
  return { ...record, ...Object.fromEntries(values) };
}

function recordOf(json: unknown): Record<string, unknown> {
  return typeof json === "object" && json !== null ? { ...json } : {};
}

function listOf(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : [];
}

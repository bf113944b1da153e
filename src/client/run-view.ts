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
  /** Null unless failed. */
  readonly error: { readonly name: string; readonly message: string; readonly code: string | null } | null;
}

/** A run with its values. `error` is the error itself, with its own properties. */
export interface RunDetail<Output = unknown> extends Omit<Run, "error"> {
  readonly input: unknown;
  /** Null unless completed. */
  readonly output: Output | null;
  /** Null unless failed. */
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
  /** How a wait ended. */
  readonly outcome: "arrived" | "timeout" | "skipped" | "by_hand" | null;
  readonly idempotencyKey: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: Error | null;
  readonly attempts: readonly Attempt[];
  /** The address that an open callback waits to be called at. */
  readonly callbackUrl: string | null;
  readonly seq: number;
}

/** A journal entry. Its other fields depend on its kind. */
export interface JournalEntry {
  readonly seq: number;
  readonly at: Date;
  readonly kind: string;
  readonly value: unknown;
  readonly [field: string]: unknown;
}

const timeFields = ["at", "startAt", "deadlineAt", "retryAt", "createdAt", "updatedAt", "startedAt", "endedAt", "nextWakeAt", "wakeAt", "until"];

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
  const attempts = listOf(step["attempts"]).map((attempt) => withValues(withDates(attempt), ["error"]));
  return { ...step, attempts } as unknown as Step;
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

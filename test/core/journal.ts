import type { ApprovalDecided, ApprovalSpec, Entry, OperatorActed, Recorded, RunCreated, RunEnded, StepEnded, StepStarted } from "#core/entry.ts";
import { retryPolicy } from "#core/retry-policy.ts";
import { applyEntry, emptyRunState, type RunState } from "#core/run-state.ts";
import type { StepState } from "#core/step-state.ts";
import { encode, summarizeError } from "#core/value.ts";

/** Entries ready to be folded, each with what a test does not care about filled in. */

export const policy = retryPolicy({ limit: 1, jitter: 0 }, undefined);

export const created = (more: Partial<RunCreated> = {}): RunCreated => ({
  kind: "run.created",
  at: 0,
  namespace: "n",
  runId: "r",
  workflow: "w",
  version: "1",
  attributes: {},
  startAt: 0,
  deadlineAt: null,
  lateAt: null,
  trigger: "api",
  publicUrl: "http://x",
  origin: null,
  redact: [],
  value: "[0]",
  ...more,
});

export const started = (key: string, more: Partial<StepStarted> = {}): StepStarted => ({
  kind: "step.started",
  at: 10,
  key,
  name: key,
  count: 1,
  step: "do",
  automation: null,
  dispatch: "inline",
  policy,
  onFailure: "fail",
  fallback: null,
  compensates: false,
  unsafeToRepeat: false,
  keyRunId: null,
  wakeAt: null,
  wait: null,
  redact: [],
  value: null,
  ...more,
});

export const sleep = (key: string, wakeAt: number) => started(key, { step: "sleep", dispatch: null, policy: null, wakeAt });

export const eventWait = (key: string, more: { event?: string; eventKey?: string | null; wakeAt?: number | null } = {}) =>
  started(key, {
    step: "event",
    dispatch: null,
    policy: null,
    wakeAt: more.wakeAt ?? null,
    wait: { for: "event", event: more.event ?? "e", eventKey: more.eventKey ?? null, hasSchema: false },
  });

export const callback = (key: string, more: Partial<StepStarted> = {}) =>
  started(key, { step: "callback", dispatch: null, policy: null, wait: { for: "callback", verify: null, hasSchema: false }, ...more });

export const approval = (key: string, spec: Partial<ApprovalSpec> = {}, more: Partial<StepStarted> = {}) =>
  started(key, {
    step: "approval",
    dispatch: null,
    policy: null,
    wait: { for: "approval", assignees: ["ann"], quorum: 1, hasSchema: false, form: null, remindAfterMs: [], escalation: null, notify: null, ...spec },
    ...more,
  });

export const approvalDecided = (key: string, actor: string, decision: "approved" | "rejected" = "approved"): ApprovalDecided => ({
  kind: "approval.decided",
  at: 15,
  key,
  actor,
  via: "api",
  decision,
  comment: null,
  value: null,
});

export const notice = (key: string) => started(key, { step: "notice", automation: "alert", dispatch: "queue" });

export const ended = (key: string, more: Partial<StepEnded> = {}): StepEnded => ({
  kind: "step.completed",
  at: 20,
  key,
  attempt: 1,
  instant: null,
  eventSeq: null,
  outcome: null,
  value: "[1]",
  ...more,
});

export const stepFailed = (key: string, more: Partial<StepEnded> = {}): StepEnded =>
  ended(key, { kind: "step.failed", value: encode(new Error("x")), ...more });

export const received = (id: string, more: { name?: string; eventKey?: string } = {}): Entry => ({
  kind: "event.received",
  at: 15,
  eventId: id,
  name: more.name ?? "e",
  eventKey: more.eventKey ?? null,
  value: "[7]",
});

export const failed = (key: string, attempt: number, more: { lost?: boolean; retryAt?: number; at?: number } = {}): Entry => ({
  kind: "attempt.failed",
  at: more.at ?? 20,
  key,
  attempt,
  lost: more.lost ?? false,
  retryAt: more.retryAt ?? 1000,
  value: encode(new Error("x")),
});

export const attempt = (key: string, number: number, at = 30): Entry => ({ kind: "attempt.started", at, key, attempt: number });
export const claimed = (key: string, number = 1): Entry => ({ kind: "attempt.claimed", at: 11, key, attempt: number });

export const parked = (key: string, number = 1, at = 20): Entry => ({
  kind: "step.parked",
  at,
  key,
  attempt: number,
  error: { name: "Error", message: "x", code: null },
  value: encode(new Error("x")),
});

export const blocked: Entry = { kind: "run.blocked", at: 30, reason: "nondeterminism", message: "differs" };
export const paused = (at = 30): Entry => ({ kind: "run.paused", at });
export const resumed = (at = 40): Entry => ({ kind: "run.resumed", at });
export const cancel: Entry = { kind: "run.cancel_requested", at: 30, actor: "ann", reason: null, compensate: false };

export const rollback = (...keys: string[]): Entry => ({
  kind: "run.rollback_begun",
  at: 30,
  keys,
  end: { status: "failed", reason: null, actor: null, failedKey: null, error: null },
  value: null,
});

/** The compensation of a step begins. */
export const undo = (key: string) => started(`~${key}`, { step: "compensation", onFailure: "pause", at: 31 });

export const acted = (action: OperatorActed["action"], keys: readonly string[] = [], more: Partial<OperatorActed> = {}): OperatorActed => ({
  kind: "operator.acted",
  at: 24,
  action,
  actor: "ann",
  reason: null,
  before: "paused",
  keys,
  value: null,
  ...more,
});

export const runEnded = (status: RunEnded["status"], reason: string | null = null, failedKey: string | null = null): RunEnded => {
  const value = status === "failed" ? encode(new TypeError("bad")) : null;
  return { kind: "run.ended", at: 40, status, reason, actor: null, failedKey, error: value === null ? null : summarizeError(value), value };
};

export function stateOf(...entries: Entry[]): RunState {
  const state = emptyRunState();
  add(state, ...entries);
  return state;
}

/** Folds more entries in, as the engine does after a decision. */
export function add(state: RunState, ...entries: readonly Entry[]): void {
  for (const entry of entries) applyEntry(state, recorded(entry, state.lastSeq + 1));
}

export function recorded<E extends Entry>(entry: E, seq: number): Recorded<E> {
  return { ...entry, seq };
}

export function stepOf(state: RunState, key = "s"): StepState {
  const step = state.steps.get(key);
  if (!step) throw new Error(`no step ${key}`);
  return step;
}

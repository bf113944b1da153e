import type { Entry, Recorded, RollbackBegun, RunCreated, StepStarted } from "#core/entry.ts";

/** What the world answered to an attempt. */
export type Answered =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly retryable: boolean; readonly retryAfterMs: number | null };

/** A step as the auditor sees it, by reading the journal with eyes of its own. */
export interface ModelStep {
  readonly start: StepStarted;
  readonly startSeq: number;
  phase: "running" | "dispatched" | "claimed" | "retrying" | "parked" | "waiting" | "completed" | "failed" | "cancelled";
  /** Where it stood when the run closed it; null: it did not. */
  closedAs: ModelStep["phase"] | null;
  attempt: number;
  /** The object's life in which the attempt began, and where in the journal. */
  attemptLife: number;
  attemptSeq: number;
  attemptAt: number;
  /** The last time that its executor was heard of. */
  heardAt: number;
  budgetAt: number;
  /** What `budgetAt` was when the attempt began: its time-out does not move. */
  attemptBudgetAt: number;
  failures: number;
  lostInARow: number;
  retryAt: number;
  retrySetAt: number;
  wakeAt: number | null;
  heldMs: number;
  correctedInput: boolean;
  outcome: string | null;
  endValue: string | null;
  readonly actors: Map<string, string>;
  approvals: number;
  escalated: boolean;
}

export interface ModelEvent {
  readonly seq: number;
  readonly name: string;
  readonly key: string | null;
}

/** A run as the auditor sees it. It shares no code with `core/run-state.ts`, so that what is wrong there shows here. */
export class Model {
  created: RunCreated | null = null;
  size = 0;
  lastAt = 0;
  started = false;
  deadlineAt: number | null = null;
  blocked: string | null = null;
  blockedSeq = 0;
  pausedAt: number | null = null;
  cancelCompensates: boolean | null = null;
  cancelSeq = 0;
  rollback: RollbackBegun | null = null;
  rollbackSeq = 0;
  ended: (Entry & { kind: "run.ended" }) | null = null;
  /** In order of start. */
  readonly steps = new Map<string, ModelStep>();
  readonly open = new Map<string, ModelStep>();
  readonly inbox: ModelEvent[] = [];
  readonly eventIds = new Set<string>();

  /** What a rollback of everything undoes: the newest start first. */
  toUndo(): string[] {
    const found: string[] = [];
    for (const [key, step] of this.steps) {
      if (!step.start.compensates || this.steps.get(`~${key}`)?.phase === "completed") continue;
      if (step.phase === "completed" ? step.outcome !== "skipped" : step.attempt > 0) found.unshift(key);
    }
    return found;
  }

  nextToUndo(): string | null {
    return this.rollback?.keys.find((key) => this.steps.get(`~${key}`)?.phase !== "completed") ?? null;
  }

  /** A rollback has begun, and has undone nothing yet. */
  get isStopping(): boolean {
    const { rollback, ended } = this;
    if (!rollback || ended) return false;
    return rollback.keys.length > 0 && !rollback.keys.some((key) => (this.steps.get(`~${key}`)?.startSeq ?? 0) > this.rollbackSeq);
  }

  closeOpen(withNotices: boolean): void {
    for (const [key, step] of this.open) {
      if (step.start.step === "notice" && !withNotices) continue;
      step.closedAs = step.phase;
      step.phase = "cancelled";
      this.open.delete(key);
    }
  }

  /** The step whose wait takes an event: of those open, the one begun first. */
  taker(name: string, key: string | null, at: number): string | null {
    for (const [stepKey, { start, wakeAt }] of this.open) {
      if (start.wait?.for !== "event" || start.wait.event !== name) continue;
      if (start.wait.eventKey !== null && start.wait.eventKey !== key) continue;
      if (this.pausedAt !== null || wakeAt === null || wakeAt > at) return stepKey;
    }
    return null;
  }

  buffered(name: string, key: string | null): ModelEvent | null {
    return this.inbox.find((event) => event.name === name && (key === null || event.key === key)) ?? null;
  }

  isUnderWay(step: ModelStep): boolean {
    return step.phase === "running" || step.phase === "dispatched" || step.phase === "claimed";
  }
}

export function modelStep(entry: Recorded<StepStarted>, life: number): ModelStep {
  const hasAttempts = entry.dispatch !== null;
  return {
    start: entry,
    startSeq: entry.seq,
    phase: entry.dispatch === "inline" ? "running" : entry.dispatch === "queue" ? "dispatched" : "waiting",
    closedAs: null,
    attempt: hasAttempts ? 1 : 0,
    attemptLife: life,
    attemptSeq: entry.seq,
    attemptAt: entry.at,
    heardAt: entry.at,
    budgetAt: entry.at,
    attemptBudgetAt: entry.at,
    failures: 0,
    lostInARow: 0,
    retryAt: 0,
    retrySetAt: 0,
    wakeAt: entry.wakeAt,
    heldMs: 0,
    correctedInput: false,
    outcome: null,
    endValue: null,
    actors: new Map(),
    approvals: 0,
    escalated: false,
  };
}

import type { AttemptFailed, Entry, Recorded, StepEnded, StepStarted } from "#core/entry.ts";
import { type Answered, Model, type ModelStep, modelStep } from "./model.ts";
import type { Act, Leaf } from "./program.ts";
import { broken } from "./violation.ts";

/** What the auditor asks the world. */
export interface Evidence {
  /** The object's life. */
  readonly life: number;
  /** The latest time that the host's clock has shown. */
  readonly latestHostNow: number;
  readonly leaseMs: number;
  /** The host's clock was set back: what the run takes for the same time may be hours later. */
  readonly wasSetBack: boolean;
  answered(key: string, attempt: number): Answered | undefined;
  /** The leaf of the program that called the step; undefined: the program has called none of that key. */
  leafOf(key: string): Leaf | undefined;
  /** What the code returned: encoded, or null while it has not. */
  returned(): string | null;
  hasThrown(): boolean;
  /** The code awaits what is no step. */
  waitsOutside(): boolean;
  readonly code: "right" | "wrong" | "missing";
  /** A payload was handed to the run for this callback. */
  calledBack(key: string, payload: string): boolean;
}

type Of<K extends Entry["kind"]> = Recorded<Extract<Entry, { kind: K }>>;

/**
 * Reads a run's journal as it becomes durable, entry by entry, and holds it to what it must say. It keeps a model of its own and believes nothing but the
 * entries and what the world itself did.
 */
export class Auditor {
  readonly model = new Model();
  readonly #evidence: Evidence;
  #entries: readonly Recorded[] = [];
  #at = 0;
  /** Where the commit begins that is being read. */
  #from = 0;
  /** The entries being read were taken over from another run. */
  #adopting = false;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  /** Reads what has become durable since the last time. */
  read(entries: readonly Recorded[], end: number): void {
    this.#entries = entries;
    const { model } = this;
    this.#adopting = model.size === 0 && entries[0]?.kind === "run.created" && entries[0].origin !== null;
    this.#from = model.size;
    for (this.#at = model.size; this.#at < end; this.#at++) {
      const entry = entries[this.#at] as Recorded;
      this.#place(entry);
      model.size++;
      this.#entry(entry);
      model.lastAt = Math.max(model.lastAt, entry.at);
    }
    this.#adopting = false;
  }

  #place(entry: Recorded): void {
    const { model } = this;
    if (entry.seq !== model.size + 1) broken("journal", `entry ${entry.seq} stands at place ${model.size + 1}`);
    if (model.ended !== null) broken("O4", `entry ${entry.seq} (${entry.kind}) comes after the end of the run`);
    if (!((entry.kind === "run.created") === (model.size === 0))) broken("journal", `${entry.kind} at place ${entry.seq}`);
    if (this.#adopting) return;
    // What a turn records is written when it is over.
    const isNow = entry.at >= model.lastAt && entry.at <= Math.max(model.lastAt, this.#evidence.latestHostNow);
    if (!isNow) broken("time", `entry ${entry.seq} (${entry.kind}) says ${entry.at} at ${this.#evidence.latestHostNow}, after ${model.lastAt}`);
  }

  /** The entry after the one being read, if it is of the same commit. */
  get #next(): Recorded | undefined {
    return this.#entries[this.#at + 1];
  }

  /** The entry before the one being read, if it is of the same commit. */
  get #previous(): Recorded | undefined {
    return this.#at > this.#from ? this.#entries[this.#at - 1] : undefined;
  }

  #entry(entry: Recorded): void {
    switch (entry.kind) {
      case "run.created":
        this.model.created = entry;
        this.model.started = entry.startAt <= entry.at;
        this.model.deadlineAt = entry.deadlineAt;
        return;
      case "step.started":
        return this.#stepStarted(entry);
      case "attempt.started":
        return this.#attemptStarted(entry);
      case "attempt.claimed":
        return this.#attemptClaimed(entry);
      case "attempt.completed":
        return this.#attemptCompleted(entry);
      case "attempt.failed":
        return this.#attemptFailed(entry);
      case "step.parked":
        return this.#stepParked(entry);
      case "step.completed":
      case "step.failed":
        return this.#stepEnded(entry);
      case "event.received":
        return this.#eventReceived(entry);
      case "approval.decided":
        return this.#decided(entry);
      case "approval.escalated":
        return this.#escalated(entry);
      case "operator.acted":
        return this.#operatorActed(entry);
      default:
        return this.#runEntry(entry);
    }
  }

  // The run as a whole.

  #runEntry(entry: Exclude<Recorded<Extract<Entry, { kind: `run.${string}` }>>, { kind: "run.created" }>): void {
    const { model } = this;
    switch (entry.kind) {
      case "run.started":
        if (!(!model.started && entry.at >= (model.created?.startAt ?? 0))) broken("O12", `the run begins at ${entry.at}, before its time`);
        if (model.pausedAt !== null) broken("hold", "a held run begins");
        model.started = true;
        return;
      case "run.blocked":
        return this.#runBlocked(entry);
      case "run.unblocked":
        if (model.blocked === null) broken("journal", "a run that is not blocked is unblocked");
        if (this.#evidence.code !== "right") broken("blocked", `unblocked while the code is ${this.#evidence.code}`);
        model.blocked = null;
        for (const step of model.open.values()) step.lostInARow = 0;
        return;
      case "run.paused":
        if (model.pausedAt !== null) broken("journal", "a held run is paused");
        if (!(this.#previous?.kind === "operator.acted")) broken("audit", "a run is paused by nobody");
        model.pausedAt = entry.at;
        return;
      case "run.resumed":
        return this.#runResumed(entry);
      case "run.cancel_requested":
        if (!(model.cancelCompensates === null && model.rollback === null)) broken("journal", "a cancelled run is cancelled");
        model.cancelCompensates = entry.compensate;
        model.cancelSeq = entry.seq;
        model.closeOpen(false);
        return;
      case "run.rollback_begun":
        return this.#rollbackBegun(entry);
      case "run.ended":
        return this.#runEnded(entry);
    }
  }

  #runBlocked(entry: Of<"run.blocked">): void {
    const { model } = this;
    const { code } = this.#evidence;
    if (model.blocked !== null) broken("journal", "a blocked run is blocked");
    if (entry.reason === "version_missing") {
      if (code !== "missing") broken("blocked", `version_missing while the code is ${code}`);
    } else if (entry.reason === "nondeterminism") {
      if (code !== "wrong") broken("determinism", `${entry.message} The code is ${code}.`);
    } else if (entry.reason === "crash_loop") {
      if (![...model.open.values()].some((step) => step.lostInARow >= 9)) broken("blocked", "crash_loop without a loop of crashes");
    } else if (entry.reason === "stalled") {
      if (!this.#evidence.waitsOutside()) broken("blocked", "the run is stalled, and its code waits for nothing but steps");
    } else broken("blocked", `blocked as ${entry.reason}`);
    model.blocked = entry.reason;
    model.blockedSeq = entry.seq;
  }

  #runResumed(entry: Of<"run.resumed">): void {
    const { model } = this;
    if (model.pausedAt === null) broken("journal", "a run that is not held is resumed");
    const { pausedAt } = model;
    model.pausedAt = null;
    const heldMs = entry.at - pausedAt;
    if (model.deadlineAt !== null) model.deadlineAt += heldMs;
    for (const step of model.open.values()) {
      if (step.start.step === "notice") continue;
      const sinceStart = entry.at - Math.max(pausedAt, step.start.at);
      step.heldMs += sinceStart;
      step.budgetAt += entry.at - Math.max(pausedAt, step.budgetAt);
      if (step.wakeAt !== null) step.wakeAt += sinceStart;
      if (step.phase === "retrying") step.retryAt += entry.at - Math.max(pausedAt, step.retrySetAt);
    }
  }

  #rollbackBegun(entry: Of<"run.rollback_begun">): void {
    const { model } = this;
    if (model.rollback !== null) broken("journal", "a rollback begins in a rollback");
    const all = model.toUndo();
    const asked = this.#previous?.kind === "operator.acted" || this.#previous?.kind === "run.resumed" || this.#adopting;
    const expected = asked ? all.slice(0, entry.keys.length) : all;
    if (!((entry.keys.length > 0 || entry.end.reason === "compensated") && entry.keys.join() === expected.join()))
      broken("rollback", `undoes ${entry.keys.join()}; what is to be undone is ${all.join()}`);
    model.rollback = entry;
    model.rollbackSeq = entry.seq;
    model.closeOpen(false);
  }

  #runEnded(entry: Of<"run.ended">): void {
    const { model } = this;
    const { status, value } = entry;
    if (status === "terminated") {
      const acted = this.#previous;
      if (!(acted?.kind === "operator.acted" && (acted.action === "terminate" || acted.action === "discard"))) broken("audit", "a run is terminated by nobody");
    } else if (model.rollback) {
      if (!(model.nextToUndo() === null)) broken("rollback", `the run ended as ${status}, and ${model.nextToUndo()} is not undone`);
      if (status !== model.rollback.end.status) broken("rollback", `the run ended as ${status}, not as ${model.rollback.end.status}`);
      if (value !== model.rollback.value) broken("rollback", "the run ended with another error than it was rolled back for");
    } else this.#endedByItself(entry);
    model.ended = entry;
    model.closeOpen(true);
  }

  #endedByItself({ status, reason, at, value }: Of<"run.ended">): void {
    const { model } = this;
    const evidence = this.#evidence;
    if (status === "completed") {
      if (!(model.pausedAt === null && model.cancelCompensates === null)) broken("O4", "a held or cancelled run completed");
      if (!(value === evidence.returned())) broken("O3", `the run's output is ${value}; the code returned ${evidence.returned()}`);
      return;
    }
    const undone = model.started && (model.cancelCompensates ?? true) ? model.toUndo() : [];
    if (undone.length !== 0) broken("rollback", `the run ended as ${status}, and nobody undid ${undone.join()}`);
    if (status === "cancelled") {
      if (model.cancelCompensates === null) broken("audit", "a run is cancelled by nobody");
      return;
    }
    if (reason === "run_timeout") {
      if (!(model.deadlineAt !== null && at >= model.deadlineAt && model.pausedAt === null)) broken("O12", "the run timed out early");
      return;
    }
    if (!evidence.hasThrown()) broken("O4", `the run failed (${reason}), and its code threw nothing`);
  }

  // Steps.

  #stepStarted(entry: Of<"step.started">): void {
    const { model } = this;
    if (model.steps.has(entry.key)) broken("O3", `step ${entry.key} began twice`);
    if (!this.#adopting) this.#mayBegin(entry);
    const step = modelStep(entry, this.#evidence.life);
    if (entry.wait !== null && entry.wait.for === "callback" && entry.dispatch === null) step.phase = "waiting";
    model.steps.set(entry.key, step);
    model.open.set(entry.key, step);
    if (this.#adopting) return;
    if (entry.step === "event" && entry.wait?.for === "event") {
      const buffered = model.buffered(entry.wait.event, entry.wait.eventKey);
      if (buffered)
        if (!(this.#endsNext(entry.key) && (this.#next as StepEnded).eventSeq === buffered.seq))
          broken("O2", `${entry.key} did not take event ${buffered.seq}`);
    }
  }

  #endsNext(key: string): boolean {
    const next = this.#next;
    return next !== undefined && (next.kind === "step.completed" || next.kind === "step.failed") && next.key === key;
  }

  #mayBegin(entry: Of<"step.started">): void {
    const { model } = this;
    const { key, step, at } = entry;
    if (step === "notice") return this.#noticeDue(entry);
    if (!(model.started && model.blocked === null && model.pausedAt === null)) broken("hold", `step ${key} began while the run is held, blocked or queued`);
    if (step === "compensation") {
      if (!(model.rollback !== null && key === `~${model.nextToUndo()}`)) broken("rollback", `${key} is undone; it is the turn of ${model.nextToUndo()}`);
      const other = [...model.open.values()].find((it) => it.start.step === "compensation");
      if (other !== undefined) broken("rollback", `${key} is undone while ${other?.start.key} is`);
      return;
    }
    if (model.rollback !== null) broken("rollback", `step ${key} began in a rollback`);
    if (this.#evidence.code !== "right") broken("determinism", `step ${key} began while the code is ${this.#evidence.code}`);
    const leaf = this.#evidence.leafOf(key);
    if (leaf === undefined) broken("O3", `step ${key} began, and the code has not called it`);
    asDeclared(entry, leaf, { at, createdAt: model.created?.at ?? 0 });
  }

  #noticeDue({ key, at, automation }: Of<"step.started">): void {
    const { model } = this;
    const [, type, about = "", nth] = key.split(":");
    const step = model.steps.get(about);
    if (automation === null) broken("notice", `${key} is told by nobody`);
    if (type === "late") {
      if (!(at >= (model.created?.lateAt ?? Number.POSITIVE_INFINITY))) broken("O12", "a run is told of as late before its time");
      return;
    }
    if (type === "paused") {
      if (model.pausedAt === null) broken("notice", "a run is told of as held that is not");
      return;
    }
    if (type === "dead_letter") {
      if (!(step?.phase === "parked")) broken("notice", `${about} is told of as parked and is not`);
      return;
    }
    const wait = step?.start.wait;
    if (!(step !== undefined && wait?.for === "approval")) broken("notice", `${about} is no approval`);
    if (type === "expired") {
      if (step.outcome !== "timeout") broken("notice", `${about} is told of as expired and is not`);
      return;
    }
    if (type === "escalated") {
      if (!step.escalated) broken("notice", `${about} is told of as escalated and is not`);
      return;
    }
    const after = [0, ...wait.remindAfterMs][Number(nth)] ?? Number.POSITIVE_INFINITY;
    if (at < step.start.at + step.heldMs + after) broken("O12", `${key} is told early`);
  }

  #openStep(key: string): ModelStep {
    const step = this.model.open.get(key);
    if (step === undefined) broken("O3", `entry ${this.model.size} is of step ${key}, which is ${this.model.steps.get(key)?.phase ?? "unknown"}`);
    return step;
  }

  #attemptStarted(entry: Of<"attempt.started">): void {
    const step = this.#openStep(entry.key);
    const { model } = this;
    if (!this.#adopting) {
      const isNotice = step.start.step === "notice";
      if (!(isNotice || (model.pausedAt === null && model.blocked === null)))
        broken("hold", `an attempt of ${entry.key} began while the run is held or blocked`);
      if (entry.at < step.retryAt) broken("O11", `attempt ${entry.attempt} of ${entry.key} began at ${entry.at}, before ${step.retryAt}`);
    }
    if (!(step.phase === "retrying" && entry.attempt === step.attempt + 1))
      broken("journal", `attempt ${entry.attempt} of ${entry.key} after ${step.attempt}, ${step.phase}`);
    step.phase = step.start.dispatch === "queue" ? "dispatched" : "running";
    step.attempt = entry.attempt;
    step.attemptLife = this.#evidence.life;
    step.attemptSeq = entry.seq;
    step.attemptAt = entry.at;
    step.attemptBudgetAt = step.budgetAt;
  }

  #attemptClaimed(entry: Of<"attempt.claimed">): void {
    const step = this.#openStep(entry.key);
    if (!(step.phase === "dispatched" && entry.attempt === step.attempt))
      broken("journal", `attempt ${entry.attempt} of ${entry.key} claimed while ${step.phase}`);
    if (!this.#adopting) {
      if (!(this.model.pausedAt === null || step.start.step === "notice")) broken("hold", `${entry.key} was given out while the run is held`);
    }
    step.phase = "claimed";
    step.attemptBudgetAt = step.budgetAt;
    step.heardAt = entry.at;
  }

  #attemptCompleted(entry: Of<"attempt.completed">): void {
    const step = this.#openStep(entry.key);
    if (!(step.start.step === "callback" && step.phase === "running" && entry.attempt === step.attempt))
      broken("journal", `${entry.key} can't be asked for now`);
    if (!this.#adopting) {
      if (!(this.#evidence.answered(entry.key, entry.attempt)?.ok === true)) broken("O5", `${entry.key} counts as asked for, and was not`);
    }
    step.phase = "waiting";
    step.lostInARow = 0;
  }

  #attemptFailed(entry: Of<"attempt.failed">): void {
    const step = this.#openStep(entry.key);
    if (!(this.model.isUnderWay(step) && entry.attempt === step.attempt))
      broken("journal", `attempt ${entry.attempt} of ${entry.key} failed while ${step.phase}`);
    if (!this.#adopting) {
      if (entry.lost) this.#lost(step, entry);
      else this.#retried(step, entry);
    }
    step.phase = "retrying";
    step.retryAt = entry.retryAt;
    step.retrySetAt = entry.at;
    if (!entry.lost) step.failures++;
    step.lostInARow = entry.lost ? step.lostInARow + 1 : 0;
  }

  #lost(step: ModelStep, entry: Recorded<AttemptFailed>): void {
    const { key, attempt, at } = entry;
    const evidence = this.#evidence;
    if (step.start.dispatch === "inline") {
      const isGone = step.attemptLife !== evidence.life || this.model.blockedSeq > step.attemptSeq;
      if (!isGone) broken("O11", `attempt ${attempt} of ${key} counts as lost, and its object lives`);
    } else {
      const silentMs = at - step.heardAt;
      if (!(step.phase === "claimed" && (silentMs >= evidence.leaseMs / 2 || evidence.wasSetBack)))
        broken("O11", `attempt ${attempt} of ${key} counts as lost after ${silentMs} ms, ${step.phase}`);
    }
    const pauseMs = step.lostInARow < 2 ? 0 : Math.min(1000 * 2 ** (step.lostInARow - 2), 60_000);
    if (entry.retryAt !== at + pauseMs)
      broken("O11", `attempt ${attempt} of ${key} was lost ${step.lostInARow + 1} times, and is tried again at ${entry.retryAt - at}`);
  }

  #retried(step: ModelStep, { key, attempt, at, retryAt }: Recorded<AttemptFailed>): void {
    const { policy } = step.start;
    if (policy === null) broken("journal", `${key} has no policy`);
    const failure = this.#failure(step, at);
    if (!failure.retryable) broken("O11", `attempt ${attempt} of ${key} forbade another one, and there is one`);
    if (step.failures + 1 > policy.limit) broken("O11", `${key} failed ${step.failures + 1} times and is tried again; ${policy.limit} retries are allowed`);
    const { least, most } = pauseBounds(step, failure.retryAfterMs);
    if (!(retryAt >= at + least && retryAt <= at + most)) broken("O11", `${key} is tried again after ${retryAt - at} ms, not ${least} to ${most}`);
    if (policy.totalTimeoutMs !== null) {
      if (!(retryAt < this.#budgetAt(step, at) + policy.totalTimeoutMs)) broken("O11", `${key} is tried again after its budget`);
    }
  }

  /** How the attempt under way went wrong: as the world answered, or by its time-out. */
  #failure(step: ModelStep, at: number): Extract<Answered, { ok: false }> {
    const { key, policy } = step.start;
    const answered = this.#evidence.answered(key, step.attempt);
    if (answered) {
      if (answered.ok) broken("O3", `attempt ${step.attempt} of ${key} went well, and is recorded as failed`);
      return answered;
    }
    const byBudget = policy?.totalTimeoutMs == null ? Number.POSITIVE_INFINITY : step.attemptBudgetAt + policy.totalTimeoutMs;
    const deadline = Math.min(step.attemptAt + (policy?.timeoutMs ?? Number.POSITIVE_INFINITY), byBudget);
    if (at < deadline) broken("O12", `attempt ${step.attempt} of ${key} failed at ${at} without an answer, before its time-out at ${deadline}`);
    const leaf = this.#evidence.leafOf(key);
    const how = leaf?.type === "act" ? leaf.script.how : leaf?.type === "callback" ? leaf.request?.how : undefined;
    return { ok: false, retryable: how !== "refused_by_retry_if", retryAfterMs: null };
  }

  /** While a run is held, the time that its steps may take in all stands still. */
  #budgetAt({ budgetAt, start }: ModelStep, at: number): number {
    const { pausedAt } = this.model;
    return pausedAt === null || start.step === "notice" ? budgetAt : budgetAt + at - Math.max(pausedAt, budgetAt);
  }

  /** Nobody answers an attempt that may not be followed by another one. */
  #exhausted(step: ModelStep, at: number): void {
    const { policy, key } = step.start;
    const failure = this.#failure(step, at);
    if (!failure.retryable || policy === null || step.failures + 1 > policy.limit) return;
    const { most } = pauseBounds(step, failure.retryAfterMs);
    const isOver = policy.totalTimeoutMs !== null && at + most >= this.#budgetAt(step, at) + policy.totalTimeoutMs;
    if (!isOver) broken("O11", `${key} is given up after ${step.failures + 1} failures; ${policy.limit} retries are allowed`);
  }

  #stepParked(entry: Of<"step.parked">): void {
    const step = this.#openStep(entry.key);
    if (!(this.model.isUnderWay(step) && entry.attempt === step.attempt)) broken("journal", `${entry.key} is parked while ${step.phase}`);
    if (!this.#adopting) {
      if (!(step.start.onFailure === "pause" || step.start.step === "compensation"))
        broken("policy", `${entry.key} is parked; its policy is ${step.start.onFailure}`);
      this.#exhausted(step, entry.at);
    }
    step.phase = "parked";
    step.failures++;
    step.lostInARow = 0;
  }

  #stepEnded(entry: Recorded<StepEnded>): void {
    const { model } = this;
    if (entry.instant) this.#instant(entry);
    const step = this.#openStep(entry.key);
    if (!this.#adopting && !entry.instant) this.#mayEnd(step, entry);
    if (entry.eventSeq !== null) {
      const at = model.inbox.findIndex((event) => event.seq === entry.eventSeq);
      if (at < 0) broken("O2", `${entry.key} took event ${entry.eventSeq}, which is not in the inbox`);
      model.inbox.splice(at, 1);
    }
    step.phase = entry.kind === "step.completed" ? "completed" : "failed";
    step.outcome = entry.outcome;
    step.endValue = entry.value;
    model.open.delete(entry.key);
    if (entry.kind === "step.failed" && step.start.onFailure === "compensate" && entry.outcome === null && !entry.instant && !this.#adopting) {
      const mustUndo = (model.cancelCompensates ?? true) && model.toUndo().length + (step.start.compensates ? 1 : 0) >= 0;
      if (mustUndo)
        if (!(this.#next?.kind === "run.rollback_begun" || this.#next === undefined || model.rollback !== null))
          broken("policy", `${entry.key} failed, and nothing is rolled back`);
    }
  }

  #instant(entry: Recorded<StepEnded>): void {
    const { model } = this;
    const { instant, key, seq, at } = entry;
    if (!instant) return;
    if (model.steps.has(key)) broken("O3", `step ${key} began twice`);
    if (!this.#adopting) {
      if (!(model.started && model.blocked === null && model.pausedAt === null && model.rollback === null))
        broken("hold", `value ${key} while the run is held`);
      if (!(this.#evidence.leafOf(key) !== undefined)) broken("O3", `step ${key} began, and the code has not called it`);
    }
    const none = { dispatch: null, policy: null, fallback: null, wakeAt: null, wait: null, value: null, keyRunId: null };
    const start: Recorded<StepStarted> = {
      ...{ kind: "step.started", seq, at, key, ...instant, ...none },
      ...{ onFailure: "fail", compensates: false, unsafeToRepeat: false, redact: [] },
    };
    const step = modelStep(start, this.#evidence.life);
    model.steps.set(key, step);
    model.open.set(key, step);
  }

  #mayEnd(step: ModelStep, entry: Recorded<StepEnded>): void {
    const { outcome, key } = entry;
    if (outcome === "by_hand" || outcome === "skipped" || (outcome === "arrived" && this.#previous?.kind === "operator.acted")) {
      const acted = this.#previous;
      if (!(acted?.kind === "operator.acted" && acted.keys.includes(key))) broken("audit", `${key} ended ${outcome} by nobody's hand`);
      return;
    }
    const { kind, step: type } = { ...step.start, kind: entry.kind };
    if (type === "sleep" || outcome === "timeout") return this.#endedByTime(step, entry);
    if (outcome === "approved" || outcome === "rejected") return this.#endedByPeople(step, entry);
    if (outcome === "arrived") return this.#arrived(step, entry);
    if (!(this.model.isUnderWay(step) && entry.attempt === step.attempt))
      broken("journal", `${key} ended by attempt ${entry.attempt} while ${step.phase} at ${step.attempt}`);
    if (kind === "step.failed") return this.#exhaustedAsDeclared(step, entry);
    const answered = this.#evidence.answered(key, entry.attempt);
    if (!(answered?.ok === true)) broken("O5", `${key} is recorded as done by attempt ${entry.attempt}, and nothing was done`);
    if (answered.value !== entry.value) broken("O3", `${key} returned ${answered.value}; recorded is ${entry.value}`);
  }

  #exhaustedAsDeclared(step: ModelStep, entry: Recorded<StepEnded>): void {
    const { start } = step;
    if (!(start.onFailure !== "pause" && start.step !== "compensation")) broken("policy", `${entry.key} failed; its policy is to wait for a person`);
    // A notice that is lost time after time is given up.
    if (start.step === "notice" && step.lostInARow >= 10) return;
    this.#exhausted(step, entry.at);
  }

  #endedByTime(step: ModelStep, { key, at, outcome }: Recorded<StepEnded>): void {
    const { model } = this;
    if (!(step.wakeAt !== null && at >= step.wakeAt)) broken("O12", `${key} ended at ${at} by time, before ${step.wakeAt}`);
    if (!(model.pausedAt === null && model.blocked === null)) broken("hold", `${key} ended by time while the run is held or blocked`);
    if (!((outcome === "timeout") === (step.start.step !== "sleep"))) broken("journal", `${key} (${step.start.step}) ended as ${outcome}`);
  }

  #endedByPeople(step: ModelStep, { key, outcome }: Recorded<StepEnded>): void {
    const decided = this.#previous;
    if (!(decided?.kind === "approval.decided" && decided.key === key && decided.decision === outcome)) broken("O2", `${key} is ${outcome} by nobody`);
    const quorum = step.start.wait?.for === "approval" ? step.start.wait.quorum : 0;
    if (outcome === "approved") {
      if (step.approvals < quorum) broken("O2", `${key} is approved by ${step.approvals} of ${quorum}`);
    }
  }

  #arrived(step: ModelStep, { key, at, eventSeq, value }: Recorded<StepEnded>): void {
    const { model } = this;
    const isOver = model.pausedAt === null && step.wakeAt !== null && step.wakeAt <= at && step.startSeq !== model.size - 1;
    if (isOver) broken("O12", `${key} was over at ${step.wakeAt}, and took what came at ${at}`);
    if (step.start.wait?.for === "callback") {
      if (!(value !== null && this.#evidence.calledBack(key, value))) broken("O2", `${key} was called back by nobody`);
      return;
    }
    if (eventSeq === null) broken("O2", `${key} arrived without an event`);
    const previous = this.#previous;
    const isRight = previous?.kind === "event.received" ? previous.seq === eventSeq : previous?.kind === "step.started" && previous.key === key;
    if (!isRight) broken("O2", `${key} took event ${eventSeq} out of turn`);
  }

  // What comes from outside.

  #eventReceived(entry: Of<"event.received">): void {
    const { model } = this;
    if (model.eventIds.has(entry.eventId)) broken("O2", `event ${entry.eventId} was recorded twice`);
    model.eventIds.add(entry.eventId);
    const taker = model.taker(entry.name, entry.eventKey, entry.at);
    model.inbox.push({ seq: entry.seq, name: entry.name, key: entry.eventKey });
    if (taker === null) {
      if (this.#takesNext(entry.seq)) broken("O2", `event ${entry.eventId} was taken by a step that does not wait for it`);
      return;
    }
    if (!(this.#endsNext(taker) && this.#takesNext(entry.seq))) broken("O2", `event ${entry.eventId} did not end ${taker}, which waits for it`);
  }

  #takesNext(seq: number): boolean {
    const next = this.#next;
    return next?.kind === "step.completed" && next.eventSeq === seq;
  }

  #decided(entry: Of<"approval.decided">): void {
    const step = this.#openStep(entry.key);
    const { model } = this;
    if (step.actors.has(entry.actor)) broken("O2", `${entry.actor} decided twice on ${entry.key}`);
    step.actors.set(entry.actor, entry.decision);
    if (entry.decision === "approved") step.approvals++;
    if (this.#adopting) return;
    const isOver = model.pausedAt === null && step.wakeAt !== null && step.wakeAt <= entry.at;
    if (isOver) broken("O12", `${entry.key} was over, and ${entry.actor} decided on it`);
    const quorum = step.start.wait?.for === "approval" ? step.start.wait.quorum : 0;
    const ends = entry.decision === "rejected" || step.approvals >= quorum;
    if (!(ends === this.#endsNext(entry.key))) broken("O2", `${entry.key} has ${step.approvals} of ${quorum} approvals, and is ${ends ? "not " : ""}over`);
  }

  #escalated(entry: Of<"approval.escalated">): void {
    const step = this.#openStep(entry.key);
    const wait = step.start.wait;
    if (!(wait?.for === "approval" && wait.escalation !== null && !step.escalated)) broken("journal", `${entry.key} can't be escalated`);
    if (!this.#adopting) {
      if (entry.at < step.start.at + step.heldMs + wait.escalation.afterMs) broken("O12", `${entry.key} is escalated early`);
      if (this.model.pausedAt !== null) broken("hold", `${entry.key} is escalated while the run is held`);
    }
    step.escalated = true;
  }

  #operatorActed(entry: Of<"operator.acted">): void {
    if (entry.action !== "retry" && entry.action !== "resume") return;
    for (const key of entry.keys) {
      const step = this.#openStep(key);
      if (!(step.phase === "parked" || (entry.action === "retry" && step.phase === "retrying"))) broken("audit", `${key} is tried again while ${step.phase}`);
      step.phase = "retrying";
      step.retryAt = entry.at;
      step.retrySetAt = entry.at;
      step.failures = 0;
      step.lostInARow = 0;
      step.budgetAt = entry.at;
      if (entry.value !== null) step.correctedInput = true;
    }
  }
}

/** The step was journaled as its leaf of the program declares it. */
function asDeclared(entry: Recorded<StepStarted>, leaf: Leaf, times: { readonly at: number; readonly createdAt: number }): void {
  const { key } = entry;
  const { at, createdAt } = times;
  if (leaf.type === "act") return actAsDeclared(entry, leaf);
  if (leaf.type === "sleep") {
    if (entry.wakeAt !== (leaf.until ? createdAt + leaf.ms : at + leaf.ms)) broken("O12", `${key} sleeps until ${entry.wakeAt}`);
  } else if (leaf.type === "event" || leaf.type === "callback" || leaf.type === "approval") {
    if (entry.wakeAt !== (leaf.timeoutMs === null ? null : at + leaf.timeoutMs)) broken("O12", `${key} waits until ${entry.wakeAt}`);
  }
}

function actAsDeclared(entry: Recorded<StepStarted>, act: Act): void {
  const { key, policy, onFailure, dispatch, compensates, unsafeToRepeat } = entry;
  const { limit, delay, maxDelay, jitter, backoff, totalTimeout } = act.retries;
  const isSamePause = policy?.delayMs === delay && policy.maxDelayMs === maxDelay && policy.jitter === jitter && policy.backoff === backoff;
  const isSameTime = policy?.totalTimeoutMs === totalTimeout && policy.timeoutMs === act.timeoutMs;
  if (!isSamePause || !isSameTime || policy?.limit !== limit) broken("policy", `${key} has the policy ${JSON.stringify(policy)}`);
  const isSameWay = onFailure === act.onFailure && compensates === (act.undo !== null) && unsafeToRepeat === act.unsafe;
  if (!isSameWay || dispatch !== (act.via === "queue" ? "queue" : "inline")) broken("policy", `${key} is journaled as ${onFailure}, ${dispatch}`);
}

/** The pause before the next attempt, by the policy. */
function pauseBounds(step: ModelStep, retryAfterMs: number | null): { least: number; most: number } {
  if (retryAfterMs !== null) return { least: retryAfterMs, most: retryAfterMs };
  const policy = step.start.policy;
  if (policy === null) return { least: 0, most: 0 };
  const nth = step.failures + 1;
  const factor = policy.backoff === "constant" ? 1 : policy.backoff === "linear" ? nth : 2 ** (nth - 1);
  const pause = Math.min(policy.delayMs * factor, policy.maxDelayMs);
  return { least: Math.floor(pause * (1 - policy.jitter)), most: Math.ceil(pause * (1 + policy.jitter)) };
}

import { applyEntry, emptyRunState, type RunState } from "#core/run-state.ts";
import type { StepState } from "#core/step-state.ts";
import { defaultSettings } from "#engine/ports.ts";
import type { RunEngine } from "#engine/run-engine.ts";
import type { Model } from "./model.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { broken } from "./violation.ts";
import type { World } from "./world.ts";

/** The promises that are held to at each commit and at the end, beside what the auditor reads in the journal. */

const { leaseMs, resendMs } = defaultSettings;
/** The longest that the index may have to wait for a summary to be sent again. */
const longestResendMs = 15 * 60_000;
const hourMs = 60 * 60_000;

/** O6: something durable points at a run that has not ended, no later than at the next thing to do. */
export function checkAlarm(object: SimulatedObject, engine: RunEngine): void {
  const { model, durable, world } = object;
  if (model.size === 0 || object.isAlarmLost) return;
  const now = Math.max(world.hostNow, model.lastAt);
  if (object.isInAlarm && !engine.busy) broken("O6", "an alarm goes on hosting a run that is at rest");
  if (engine.busy) object.leasedAt = now;
  const dueAt = nextDue(object, engine, now);
  if (dueAt === Number.POSITIVE_INFINITY) return;
  if (durable.alarmAt === null) broken("O6", `no alarm is set; the run (${engine.summary.status}) has something to do at ${dueAt - now} ms from now`);
  // Set back, the clock makes everything late that was set before.
  if (world.wasSetBack) return;
  // One that was set before may be the lease of an object that is gone.
  const latest = object.hasSetAlarm ? Math.max(dueAt, now) : Math.max(dueAt, now, object.alarmSetAt + leaseMs, object.leasedAt + leaseMs);
  if (durable.alarmAt > latest) broken("O6", `the alarm stands at ${durable.alarmAt - now} ms from now, later than what is due at ${dueAt - now}`);
}

function nextDue(object: SimulatedObject, engine: RunEngine, now: number): number {
  const { model } = object;
  const isIndexed = indexedSeqOf(object) >= model.size * 2 + (engine.busy ? 0 : 1);
  let due = isIndexed ? Number.POSITIVE_INFINITY : now + longestResendMs;
  if (model.ended) return due;
  due = Math.min(due, givesUpAt(model, now));
  const isHeld = model.pausedAt !== null;
  if (needsLease(model, engine)) due = Math.min(due, now + leaseMs);
  if (model.blocked !== null && !isHeld) due = Math.min(due, now + hourMs);
  // What is due already is done by the code that is executing, and that has a lease.
  const orLease = (at: number): number => (engine.busy ? Math.max(at, now + leaseMs) : at);
  if (!isHeld && !model.started) due = Math.min(due, model.created?.startAt ?? 0);
  if (!isHeld && !model.rollback && model.deadlineAt !== null) due = Math.min(due, orLease(model.deadlineAt));
  for (const step of model.open.values()) {
    const isStill = (isHeld || model.blocked !== null) && step.start.step !== "notice";
    if (isStill) continue;
    // The longer nobody has taken an attempt, the more seldom it is sent.
    if (step.phase === "dispatched") due = Math.min(due, now + Math.max(resendMs, Math.min(now - step.attemptAt, longestResendMs)));
    else if (step.phase === "claimed" || step.phase === "running") due = Math.min(due, now + leaseMs);
    else if (step.phase === "retrying") due = Math.min(due, orLease(step.retryAt));
    if (step.wakeAt !== null) due = Math.min(due, orLease(step.wakeAt));
  }
  return due;
}

/** What the code of a held run does by itself comes to nothing, and comes again when the run goes on; what its actions do, counts. */
function needsLease(model: Model, engine: RunEngine): boolean {
  if (!engine.busy || model.pausedAt === null) return engine.busy;
  for (const step of model.open.values()) if (step.phase === "running") return true;
  return false;
}

/** Of a run that has ended nobody writes down what the index has: whether its alarm stands says so. */
function indexedSeqOf({ model, world, run, indexedSeq }: SimulatedObject): number {
  return model.ended ? (world.index.rows.get(run)?.seq ?? 0) : indexedSeq;
}

/** A rollback that waits for executors looks again when their lease is over. */
function givesUpAt(model: Model, now: number): number {
  const isStill = model.pausedAt !== null || model.blocked !== null;
  const waits = model.isStopping && !isStill && [...model.steps.values()].some((step) => step.closedAs === "claimed");
  return waits ? now + leaseMs : Number.POSITIVE_INFINITY;
}

/** O8: what the journal says by its fold is what the auditor has read in it. */
export function checkFold(object: SimulatedObject, engine: RunEngine): void {
  compare(object.model, engine.state);
}

/** O8: the fold of the durable journal, made anew, is what the object holds in memory. */
export function checkState(object: SimulatedObject): void {
  const state = emptyRunState();
  for (const entry of object.entries) applyEntry(state, entry);
  compare(object.model, state);
  if (!object.engine) return;
  compare(object.model, object.engine.state);
  if (!isSame(state, object.engine.state)) broken("O8", "memory holds another state than the journal");
}

function isSame(a: RunState, b: RunState): boolean {
  if (a.lastSeq !== b.lastSeq || a.lastAt !== b.lastAt || a.moments.length !== b.moments.length || a.steps.size !== b.steps.size) return false;
  if (a.eventIds.size !== b.eventIds.size || a.approvals.length !== b.approvals.length) return false;
  for (const [key, step] of a.steps) {
    const other = b.steps.get(key);
    if (!other || !isSameStep(step, other)) return false;
  }
  return true;
}

function isSameStep(a: StepState, b: StepState): boolean {
  const isSameAttempt =
    a.status === b.status && a.closedFrom === b.closedFrom && a.attempt === b.attempt && a.failures === b.failures && a.lostInARow === b.lostInARow;
  const isSameTime = a.retryAt === b.retryAt && a.wakeAt === b.wakeAt && a.heldMs === b.heldMs && a.budgetStartedAt === b.budgetStartedAt;
  return isSameAttempt && isSameTime && a.endSeq === b.endSeq && a.resultSeq === b.resultSeq && a.inputSeq === b.inputSeq && a.outcome === b.outcome;
}

function compare(model: Model, state: RunState): void {
  if (state.lastSeq !== model.size) broken("O8", `the fold is at entry ${state.lastSeq} of ${model.size}`);
  if (!((state.paused !== null) === (model.pausedAt !== null) && (state.blocked?.reason ?? null) === model.blocked))
    broken("O8", "the fold has another hold or block");
  if (!(state.ended?.status === model.ended?.status && state.started === model.started && (state.rollback !== null) === (model.rollback !== null)))
    broken("O8", "the fold has another end");
  if (state.deadlineAt !== model.deadlineAt) broken("O12", `the run times out at ${state.deadlineAt}, not at ${model.deadlineAt}`);
  if (!isSameOrder(state.open.keys(), model.open.keys())) broken("O8", `open are ${[...state.open.keys()].join()}, not ${[...model.open.keys()].join()}`);
  for (const [key, step] of model.open) {
    const known = state.open.get(key);
    const isSame = known?.status === step.phase && known.attempt === step.attempt && known.failures === step.failures && known.wakeAt === step.wakeAt;
    if (!(isSame && known.retryAt === (step.phase === "retrying" ? step.retryAt : null)))
      broken(
        "O8",
        `${key} is folded as ${known?.status} ${known?.attempt}/${known?.failures} wake ${known?.wakeAt} retry ${known?.retryAt}; it is ${step.phase} ${step.attempt}/${step.failures} wake ${step.wakeAt} retry ${step.retryAt}`,
      );
  }
  if (state.inbox.size !== model.inbox.length || model.inbox.some((it) => !state.inbox.has(it.seq)))
    broken("O2", `the inbox holds ${[...state.inbox.keys()].join()}`);
}

function isSameOrder(some: MapIterator<string>, others: MapIterator<string>): boolean {
  for (const key of some) if (others.next().value !== key) return false;
  return others.next().done === true;
}

/** When all is over: nothing that was acknowledged is missing, and the index tells the truth. */
export function checkEnd(world: World): void {
  for (const object of world.objects) {
    if (object.model.size === 0) {
      if (object.acked.some((it) => it.what === "start")) broken("O1", `the start of ${object.run} was acknowledged, and it is not there`);
      continue;
    }
    checkState(object);
    checkAcknowledged(object);
    checkIndex(world, object);
  }
}

function checkAcknowledged(object: SimulatedObject): void {
  const { model } = object;
  for (const { what, id } of object.acked) {
    if (what === "event") {
      if (!model.eventIds.has(id)) broken("O2", `event ${id} was acknowledged, and is not in the journal`);
    }
    if (what === "callback")
      if (!(model.steps.get(id)?.outcome === "arrived")) broken("O2", `callback ${id} was acknowledged, and its step ended as ${model.steps.get(id)?.outcome}`);
    if (what === "decision") {
      const [key = "", actor = "", decision] = id.split("|");
      if (!(model.steps.get(key)?.actors.get(actor) === decision)) broken("O2", `${actor}'s decision on ${key} was acknowledged, and is not in the journal`);
    }
    if (what === "pause") if (!object.entries.some((entry) => entry.kind === "run.paused")) broken("O9", "a pause was acknowledged, and is not in the journal");
  }
}

function checkIndex(world: World, object: SimulatedObject): void {
  const row = world.index.rows.get(object.run);
  const truth = object.engine?.summary;
  if (!truth) return;
  if (row === undefined) broken("O7", `the index has never heard of ${object.run}, which is ${truth.status}`);
  // Most of it follows from these; the rest is compared where they agree and there is more to compare.
  const isSame = row.seq === truth.seq && row.status === truth.status && row.nextWakeAt === truth.nextWakeAt && row.updatedAt === truth.updatedAt;
  const hasMore = truth.error !== null || truth.reason !== null || truth.approvals.length > 0;
  if (!isSame || (hasMore && JSON.stringify(row) !== JSON.stringify(truth))) {
    broken("O7", `the index says ${JSON.stringify(row)}; the run says ${JSON.stringify(truth)}`);
  }
}

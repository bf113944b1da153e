import { attemptEnded, attemptLost, attemptStarted, attemptsCutOff, isCurrentAttempt } from "#core/decision.ts";
import type { BlockReason, Entry } from "#core/entry.ts";
import { Fault, invariant } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { attemptDeadline } from "#core/retry-policy.ts";
import { compensationKey, isStopping, nextToUndo, undoneKey } from "#core/rollback.ts";
import type { RunState } from "#core/run-state.ts";
import { idempotencyKey } from "#core/step-key.ts";
import type { StepState } from "#core/step-state.ts";
import { decode, encodeError } from "#core/value.ts";
import type { Log } from "#sdk/log.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";
import { type AttemptResult, Attempts } from "./attempts.ts";
import type { Call } from "./call.ts";
import { functionEnded, instantEntry, outcomeOf, startEntries } from "./execution-entries.ts";
import type { Ledger } from "./ledger.ts";
import { parseInput } from "./new-run.ts";
import { Pass, type PassHost, type PassOutcome } from "./pass.ts";
import type { EnginePorts } from "./ports.ts";
import { createStep } from "./step-calls.ts";
import type { Stopping } from "./stopping.ts";
import { undoCall } from "./undo-call.ts";

/** What an execution tells the run it belongs to. */
export interface ExecutionEvents {
  /** A step's attempt must go to the queue. */
  dispatch(step: StepState): void;
  /** Something was committed that may move the run's next deadline. */
  progressed(): void;
  parked(): void;
  /** The workflow function ended, and so did the run. */
  ended(): void;
  blocked(reason: BlockReason, message: string): void;
}

/**
 * The execution of a run's code in this object: one pass of its workflow function, and the attempts that it runs inline. It lives until the run
 * ends or the object goes; another one then takes up from the journal.
 */
export class Execution implements PassHost {
  readonly #ledger: Ledger;
  readonly #ports: EnginePorts;
  readonly #events: ExecutionEvents;
  readonly #stopping: Stopping;
  readonly #attempts: Attempts;
  readonly #pass: Pass;
  /** The errors that steps threw into the code, with the key of the step. */
  readonly #stepErrors = new WeakMap<Error, string>();
  /** Results have arrived that the function is shown when this turn is over. */
  #isGathering = false;
  /** The function has had its say, and what its steps did is being undone. */
  #undoing = false;
  /** The journal's length when the execution began. */
  readonly #beganAt: number;
  /** The function ended while the run was held. */
  #heldEnd: PassOutcome | null = null;

  constructor(ledger: Ledger, ports: EnginePorts, stopping: Stopping, events: ExecutionEvents) {
    this.#ledger = ledger;
    this.#ports = ports;
    this.#events = events;
    this.#stopping = stopping;
    this.#attempts = new Attempts(ports.clock, stopping, () => ledger.write());
    this.#pass = new Pass(this, ledger.loadedMoments);
    this.#beganAt = ledger.state.lastSeq;
  }

  get state(): RunState {
    return this.#ledger.state;
  }

  /** Code is executing or is about to: the object must be kept alive. */
  get busy(): boolean {
    if (this.#undoing || this.#heldEnd) return this.#attempts.size > 0 || (this.#stopping.holds && !this.closed);
    return !this.#pass.closed && !this.#pass.parked;
  }

  /** Busy with more than to repeat what the journal tells: a run that is parked is so, too, while it replays. */
  get acting(): boolean {
    return this.busy && this.state.lastSeq > this.#beganAt;
  }

  get closed(): boolean {
    return this.#pass.closed;
  }

  get replaying(): boolean {
    return this.#pass.replaying;
  }

  /** Grows with everything that the code does. */
  get activity(): number {
    return this.#pass.activity;
  }

  /** The code executes, and yet nothing is under way that Segno knows of: it waits for something that is no step. */
  get idlesOutsideSteps(): boolean {
    if (this.#undoing) return false;
    return this.busy && this.#attempts.size === 0;
  }

  run(definition: AnyWorkflow): void {
    const { created } = this.state;
    invariant(created, "A run without its first entry can't be executed.");
    const { runId, namespace, workflow, version, publicUrl } = created;
    const log = this.#quietLog();
    const step = createStep({
      call: (request) => this.#pass.call(request),
      now: () => this.#ledger.now(),
      random: this.#ports.random,
      log,
      idempotencyKey: (key) => idempotencyKey(namespace, this.state.steps.get(key)?.keyRunId ?? runId, key),
      callbackUrl: (key, expiresAt) => this.#ports.callbacks.url(publicUrl, { namespace, runId, key, expiresAt }),
    });
    const run = { id: runId, namespace, workflow, version, trigger: created.trigger, createdAt: new Date(created.at) };
    this.#pass.start(() =>
      definition.options.run({
        input: parseInput(definition, decode(created.valueOmitted ? this.#ports.journal.value(created.seq) : created.value)),
        step,
        log,
        run,
      }),
    );
  }

  /** Drops the code: what is under way is aborted, and nothing that it still does has an effect. */
  close(reason: string): void {
    this.#pass.close();
    this.#attempts.abandon(reason);
  }

  /** The journal grew by something that the code may be waiting for. */
  advance(): void {
    for (const key of this.#attempts.keys()) {
      if (!this.state.open.has(key)) this.#attempts.abandon(`Step ${key} ended.`, [key]);
    }
    this.#goOn();
  }

  /** Time has passed, and with it maybe what a rollback waits for. */
  tick(): void {
    if (this.#undoing && isStopping(this.state)) this.#undoNext();
  }

  #goOn(): void {
    if (this.#undoing) return this.#undoNext();
    if (this.state.rollback && !this.#pass.replaying) return this.#beginUndoing();
    const end = this.#heldEnd;
    this.#heldEnd = null;
    if (end) this.ended(end);
    else this.#pass.advance();
  }

  /** Launches the next attempt of a step that is due, if the code has come to it. */
  retry(step: StepState): void {
    // A rollback that this object has not taken up yet makes the attempt when it does; what runs before that is abandoned then.
    if (this.state.rollback && !this.#undoing) return;
    const call = this.#pass.replaying ? null : this.#callFor(step);
    if (call) this.#nextAttempt(step, call);
  }

  /** What the code says is wrong with a payload for a step; empty where it says nothing. */
  issuesWith(key: string, payload: unknown): readonly string[] {
    return this.#pass.callOf(key)?.issues(payload) ?? [];
  }

  // What the pass asks of its host.

  begin(call: Call): void {
    this.#unblock();
    const now = this.#ledger.now();
    let entries: Entry[];
    try {
      entries = startEntries(this.state, call, now);
    } catch (error) {
      entries = [instantEntry(call, "step.failed", { at: now, value: encodeError(error) })];
    }
    this.#ledger.commit(entries);
    const step = this.state.open.get(call.key);
    if (step?.status === "dispatched") this.#events.dispatch(step);
    if (!this.#undoing) this.#pass.advance();
    if (step?.status === "running") this.#launch(step, call);
    if (step && step.wakeAt !== null) this.#events.progressed();
  }

  resultOf(call: Call, seq: number): unknown {
    const step = this.state.steps.get(call.key);
    invariant(step && step.endSeq === seq, `Step ${call.key} did not end at entry ${seq}.`);
    if (step.status === "cancelled") throw new Fault("cancelled", `The run was cancelled while step ${call.key} was open.`);
    if (step.status === "failed" && step.onFailure === "continue" && step.outcome !== "by_hand") {
      return step.fallback === null ? undefined : decode(step.fallback);
    }
    const value = step.resultSeq === null ? undefined : decode(this.#ledger.takeValue(step.resultSeq));
    if (step.status === "failed") {
      if (value instanceof Error) this.#stepErrors.set(value, step.key);
      throw value;
    }
    const decisions = step.decisions.map((it) => ({ ...it, form: it.hasForm ? decode(this.#ports.journal.value(it.seq)) : undefined }));
    return call.result({ outcome: step.outcome, value, at: step.endedAt ?? 0, decisions, escalated: step.escalated });
  }

  caughtUp(): void {
    this.#unblock();
    if (this.state.rollback) return this.#beginUndoing();
    if (this.state.paused) return this.#ledger.commit(attemptsCutOff(this.state, this.#ledger.now()));
    for (const step of [...this.state.open.values()]) {
      if (this.#pass.closed) return;
      if (step.status === "running" && !this.#attempts.has(step.key)) this.#recover(step);
      else if (step.status === "retrying" && step.dispatch === "inline" && (step.retryAt ?? 0) <= this.#ledger.now()) this.retry(step);
    }
    this.#events.progressed();
  }

  shown(): void {
    this.#ledger.write();
  }

  attemptsUnderWay(): number {
    return this.#attempts.size;
  }

  parked(): void {
    this.#attempts.rest();
    this.#ledger.forgetValues();
    this.#events.parked();
  }

  ended(outcome: PassOutcome): void {
    // A replay on the way to a rollback: how the function ended was settled long ago.
    if (this.state.rollback) return this.#pass.replaying ? undefined : this.#beginUndoing();
    if (this.state.paused) return this.#holdEnd(outcome);
    this.#unblock();
    const ended = functionEnded(this.state, outcome, { at: this.#ledger.now(), failedKey: outcome.ok ? null : this.#thrownBy(outcome.error) });
    this.#attempts.abandon("The run has ended.");
    this.#ledger.commit([ended]);
    if (ended.kind === "run.ended") this.#events.ended();
    else this.#beginUndoing();
  }

  /** A held run does not end: what its function came to counts when it is let go. */
  #holdEnd(outcome: PassOutcome): void {
    this.#heldEnd = outcome;
    if (this.#attempts.size === 0) this.parked();
  }

  nondeterministic(difference: string): void {
    this.#attempts.abandon("The run is blocked.");
    this.#events.blocked("nondeterminism", difference);
  }

  idle(): Promise<void> {
    return this.#ports.clock.idle();
  }

  /** The step that threw this error or, where the code wrapped it, what caused it; null for an error of the code's own. */
  #thrownBy(error: unknown): string | null {
    let cause = error;
    for (let depth = 0; depth < 10 && cause instanceof Error; depth++) {
      const key = this.#stepErrors.get(cause);
      if (key !== undefined) return key;
      cause = cause.cause;
    }
    return null;
  }

  /** The code has come through the whole journal: what blocked the run is gone. */
  #unblock(): void {
    if (this.state.blocked) this.#ledger.commit([{ kind: "run.unblocked", at: this.#ledger.now() }]);
  }

  /** The object that ran this attempt is gone; this one takes over. */
  #recover(step: StepState): void {
    if (step.lostInARow + 1 >= limits.lostAttemptsInARow) {
      this.close("The run is blocked.");
      return this.#events.blocked("crash_loop", `Step ${step.key} was lost ${limits.lostAttemptsInARow} times in a row; its process may not survive it.`);
    }
    const lost = attemptLost(step, this.#ledger.now(), encodeError(new Fault("attempt_lost", `Attempt ${step.attempt} of ${step.key} was cut off.`)));
    this.#ledger.commit([lost]);
    if (lost.retryAt <= this.#ledger.now()) this.retry(step);
  }

  #nextAttempt(step: StepState, call: Call): void {
    this.#ledger.commit([attemptStarted(step, this.#ledger.now())]);
    if (!this.#undoing) this.#pass.advance();
    this.#launch(step, call);
  }

  #launch(step: StepState, call: Call): void {
    const { key, attempt, wakeAt } = step;
    const { attempt: action } = call;
    invariant(action && step.policy, `Step ${key} has no action to run here.`);
    const input = this.#inputOf(step);
    this.#attempts.run(key, {
      wakeAt,
      input,
      attempt,
      action,
      deadlineAt: attemptDeadline(step.policy, step.budgetStartedAt, this.#ledger.now()),
      settle: (result) => this.#settle(call, attempt, result),
    });
  }

  #inputOf(step: StepState): unknown {
    return step.inputSeq === null ? undefined : decode(this.#ledger.takeValue(step.inputSeq));
  }

  #settle(call: Call, attempt: number, result: AttemptResult): void {
    const step = this.state.steps.get(call.key);
    if (this.#pass.closed || !isCurrentAttempt(step, { key: call.key, attempt })) return;
    const at = this.#ledger.now();
    const entries = attemptEnded(this.state, step, { outcome: outcomeOf(result, call, { attempt, now: at }), at, random: this.#ports.random.number() });
    this.#ledger.commit(entries);
    // An attempt ends its own step and no other, unless it has the run rolled back, which abandons them all.
    if (this.#attempts.size === 0) this.#goOn();
    else void this.#goOnTogether();
    if (entries[0]?.kind === "attempt.failed") this.#events.progressed();
  }

  /** While other attempts are under way, a result waits a turn for theirs: what arrives together is written together. */
  async #goOnTogether(): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    await this.#ports.clock.idle();
    this.#isGathering = false;
    if (!this.#pass.closed) this.#goOn();
  }

  #callFor(step: StepState): Call | null {
    return step.kind === "compensation" ? this.#compensationOf(undoneKey(step.key)) : this.#pass.callOf(step.key);
  }

  /** Called when the replay is through, and again when the function it replayed has ended: whichever comes first begins. */
  #beginUndoing(): void {
    if (this.#undoing) return this.#undoNext();
    this.#unblock();
    this.#undoing = true;
    this.#pass.retire();
    this.#attempts.abandon("The run is rolled back.");
    this.#undoNext();
  }

  /** Undoes one step after the other, and then ends the run. */
  #undoNext(): void {
    const { rollback, paused, ended } = this.state;
    if (!rollback || ended || this.#pass.closed || this.#attempts.size > 0) return;
    if (this.#stopping.mustWait(() => this.#workStopped())) return this.parked();
    // Whoever hosts the run is told that it rests, when the last attempt of a held one has ended.
    if (paused) return this.parked();
    const key = nextToUndo(this.state);
    if (key === null) this.#endRollback(rollback);
    else this.#undo(key);
  }

  #workStopped(): void {
    this.#undoNext();
    this.#events.progressed();
  }

  #endRollback(rollback: NonNullable<RunState["rollback"]>): void {
    const value = rollback.valueOmitted ? this.#ports.journal.value(rollback.seq) : rollback.value;
    this.#ledger.commit([{ kind: "run.ended", at: this.#ledger.now(), ...rollback.end, value }]);
    this.#events.ended();
  }

  #undo(key: string): void {
    const call = this.#compensationOf(key);
    if (!call) return this.nondeterministic(`The journal says that step ${key} can be undone; the code does not say how any more.`);
    const step = this.state.steps.get(compensationKey(key));
    if (!step) this.begin(call);
    else if (step.status === "running") this.#recover(step);
    else if (step.status === "retrying" && (step.retryAt ?? 0) <= this.#ledger.now()) this.#nextAttempt(step, call);
    if (this.#attempts.size === 0) this.parked();
  }

  /** The compensation of a step, as the call of a step of its own. */
  #compensationOf(key: string): Call | null {
    const call = this.#pass.callOf(key);
    const step = this.state.steps.get(key);
    if (!call || !step) return null;
    return undoCall(call, step, { state: this.state, journal: this.#ports.journal, inputOf: (undone) => this.#inputOf(undone) });
  }

  /** Lines that a replay repeats were written the first time. */
  #quietLog(): Log {
    const { log } = this.#ports;
    const unlessReplaying =
      (level: keyof Log): Log[keyof Log] =>
      (message, fields) => {
        if (!this.#pass.repeating && !this.#pass.closed) log[level](message, fields);
      };
    return { info: unlessReplaying("info"), warn: unlessReplaying("warn"), error: unlessReplaying("error") };
  }
}

import { type DecideCommand, decided } from "#core/approval.ts";
import type { AttemptOutcome, AttemptRef, CallbackTerms, Claim, EventAccepted, EventCommand, Operation, Settled, StartCommand } from "#core/command.ts";
import { attemptsCutOff, callbackArrived, callbackTerms, checkSameStart, eventArrived, gaveUp, timedOut, waitEnded } from "#core/decision.ts";
import type { BlockReason, Entry } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { checkSameOrigin, type TakenOver } from "#core/fork.ts";
import { limits } from "#core/limits.ts";
import { operationEntries, undoingOf } from "#core/operator-decision.ts";
import { isStopping } from "#core/rollback.ts";
import type { RunSummary } from "#core/run.ts";
import type { RunState } from "#core/run-state.ts";
import { summarize, summarySeq } from "#core/run-view.ts";
import type { StepState } from "#core/step-state.ts";
import { decode, encode } from "#core/value.ts";
import { AlarmKeeper } from "./alarm-keeper.ts";
import { BlockedPoll } from "./blocked-poll.ts";
import { BusyTimer, hostAfterMs, showBusyAfterMs } from "./busy-timer.ts";
import { Dispatch } from "./dispatch.ts";
import { Execution } from "./execution.ts";
import { Ledger } from "./ledger.ts";
import { newRun } from "./new-run.ts";
import { mayExecute, nextWakeAt } from "./next-wake.ts";
import { Notices } from "./notices.ts";
import { oncePerTurn } from "./once-per-turn.ts";
import { refuseUnfit, takerOf, withCheckedInput } from "./payload-check.ts";
import type { EnginePorts, Journal } from "./ports.ts";
import { Publication } from "./publication.ts";
import { StallWatch, stalledMessage } from "./stall-watch.ts";
import { Stopping } from "./stopping.ts";
import { afterWriting, type TurnJournal } from "./turn-journal.ts";
import { Waiters } from "./waiters.ts";

/**
 * One run: every command to it, everything that time does to it, and the execution of its code. Each method decides and commits within one
 * synchronous turn. All it needs comes through ports, so the same engine runs in a Durable Object, in memory and in a simulation.
 */
export class RunEngine {
  readonly #ports: EnginePorts & { readonly journal: TurnJournal };
  readonly #ledger: Ledger;
  readonly #dispatch: Dispatch;
  readonly #stopping: Stopping;
  readonly #notices: Notices;
  readonly #publication: Publication;
  readonly #alarm: AlarmKeeper;
  readonly #quietWaiters: Waiters;
  readonly #endWaiters: Waiters;
  #execution: Execution | null = null;
  #dropped = false;
  readonly #stallWatch = new StallWatch();
  readonly #blockedPoll = new BlockedPoll();
  readonly #longBusy: BusyTimer;
  readonly #unhosted: BusyTimer;
  readonly #showEndAgain = oncePerTurn(() => this.#dropped || void this.#publication.sendUnconfirmed(this.summary, this.#ledger.now()));
  readonly #armSoon = oncePerTurn(() => this.#dropped || this.#arm());

  constructor(outside: EnginePorts) {
    const ports = afterWriting(outside);
    this.#ports = ports;
    this.#ledger = new Ledger(ports);
    this.#dispatch = new Dispatch(this.#ledger, ports, () => this.#becameQuiet());
    this.#stopping = new Stopping(this.#ledger, ports, this.#dispatch);
    this.#notices = new Notices(this.#ledger, ports, this.#dispatch);
    this.#publication = new Publication(ports, this.exists ? summarySeq(this.state, false) : 0, this.#ledger.now());
    this.#alarm = new AlarmKeeper(ports.alarm);
    this.#quietWaiters = new Waiters(ports.clock);
    this.#endWaiters = new Waiters(ports.clock);
    this.#longBusy = new BusyTimer(ports.clock, showBusyAfterMs, () => {
      this.#publication.request(this.summary.seq, this.#ledger.now());
      this.#turnDone();
    });
    this.#unhosted = new BusyTimer(ports.clock, hostAfterMs, () => this.busy && this.#alarm.set(this.#ledger.now()));
  }

  get state(): RunState {
    return this.#ledger.state;
  }

  /** For those who read it: with all that was recorded so far. */
  get journal(): Journal {
    return this.#ports.journal;
  }

  /** Writes what this turn has recorded, before anybody is told of it. */
  write(): void {
    this.#ledger.write();
  }

  get exists(): boolean {
    return this.state.created !== null;
  }

  /** Code is executing here or a message is on its way out: whoever hosts the run must keep the object alive until `quiet`. */
  get busy(): boolean {
    return (this.#execution?.busy ?? false) || this.#dispatch.sending;
  }

  get summary(): RunSummary {
    return summarize(this.state, (this.#execution?.acting ?? false) || this.#dispatch.sending);
  }

  // Commands. A fault is thrown before anything is written.

  /** Creates the run; false when the same start had created it before. @throws Fault `run_exists`, `workflow_not_found`, `version_not_found`, `invalid_input`, `invalid_attributes`. */
  start(command: StartCommand): boolean {
    const { created } = this.state;
    if (created) {
      checkSameStart(created, command, created.valueOmitted ? this.#ports.journal.value(created.seq) : created.value);
      return false;
    }
    this.#ledger.commit([newRun(this.#ports.registry, command, this.#ports.clock.now())]);
    this.#proceed();
    if (!this.state.started) this.#publication.requestNow(this.#ledger.now());
    this.#turnDone();
    return true;
  }

  /** Creates a run that takes over entries of another; `rollback` has it undo them. False for a repeat. @throws Fault as `start`. */
  startFrom(command: StartCommand, taken: TakenOver): boolean {
    const { created } = this.state;
    if (created) {
      checkSameOrigin(created, taken.origin);
      return false;
    }
    const first: Entry = { ...newRun(this.#ports.registry, command, this.#ports.clock.now()), origin: taken.origin };
    this.#commitAndGoOn([first, ...taken.entries, ...undoingOf(first, taken, { actor: command.trigger, at: first.at })]);
    return true;
  }

  /** @throws Fault `run_not_found`, `run_ended`, `inbox_full`, or `invalid_payload` when a wait has a schema that refuses it. */
  async sendEvent(command: EventCommand): Promise<EventAccepted> {
    this.#mustExist();
    await this.#checkPayload(command.payload, () => takerOf(this.state, command, this.#ledger.now()));
    const entries = eventArrived(this.state, command, this.#ledger.now());
    const step = entries[1]?.kind === "step.completed" ? entries[1].key : null;
    this.#commitAndGoOn(entries);
    return { duplicate: entries.length === 0, step };
  }

  /** What a caller of the callback must prove. @throws Fault `run_not_found`, `step_not_found`, `callback_used` or `callback_expired`. */
  callbackTerms(key: string): CallbackTerms {
    this.#mustExist();
    return callbackTerms(this.state, key, this.#ledger.now());
  }

  /** @throws Fault as `callbackTerms`, and `invalid_payload`; after that the callback is still unused. */
  async callback(key: string, payload: string): Promise<void> {
    this.#mustExist();
    await this.#checkPayload(payload, () => this.state.open.get(key) ?? null);
    this.#commitAndGoOn([callbackArrived(this.state, key, payload, this.#ledger.now())]);
  }

  /** Somebody decides on an approval. A repeat changes nothing. @throws Fault `run_not_found`, `step_not_found`, `already_decided`, `invalid_payload`, `run_ended`. */
  async decide(command: DecideCommand): Promise<void> {
    this.#mustExist();
    const form = command.form ?? encode(undefined);
    await this.#checkPayload(form, () => (command.decision === "approved" ? (this.state.open.get(command.key) ?? null) : null));
    this.#commitAndGoOn(decided(this.state, command, this.#ledger.now()));
  }

  /** Does what an operator asks. A repeat that finds it done changes nothing. @throws Fault `run_not_found`, and what the decision refuses with. */
  operate(operation: Operation): RunSummary {
    this.#mustExist();
    const now = this.#ledger.now();
    const { lastSeq, paused } = this.state;
    const entries = operationEntries(this.state, withCheckedInput(this.#ports.registry, this.state, operation), now);
    this.#ledger.commit(entries);
    if (paused && !this.state.paused) this.#dispatch.sendAll();
    this.#doDue(now);
    if (this.state.lastSeq > lastSeq || this.#dispatch.sending) this.#goOn();
    else this.#arm();
    return this.summary;
  }

  // Dispatched attempts: an executor claims, renews and settles.

  claim(ref: AttemptRef): Claim {
    const claim = this.#dispatch.claim(ref);
    if (claim.granted) this.#goOn();
    return claim;
  }

  /** False when the attempt is over for the run: the executor may stop. */
  renew(ref: AttemptRef): boolean {
    const renewed = this.#dispatch.renew(ref);
    if (renewed || isStopping(this.state)) this.#arm();
    return renewed;
  }

  settle(ref: AttemptRef, outcome: AttemptOutcome): Settled {
    const settled = this.#dispatch.settle(ref, outcome);
    if (settled === "recorded" || isStopping(this.state)) this.#goOn();
    return settled;
  }

  /** The index has the run's summary up to `seq`. */
  indexed(seq: number): void {
    this.#publication.confirm(seq, this.state.ended !== null);
    this.#arm();
  }

  // Time.

  /** The alarm, the sweeper or a first touch after a restart: does all that is due. Safe at any time and any number of times. */
  wake(): void {
    if (!this.exists) return;
    const now = this.#ledger.now();
    // First of all, so that whatever happens below, something durable points at the run.
    if (this.state.ended) this.#alarm.learn(null);
    else this.#alarm.set(now + this.#ports.settings.leaseMs);
    this.#doDue(now);
    if (this.#stallWatch.sawWake(this.#execution)) this.#block("stalled", stalledMessage);
    this.#proceed();
    this.#turnDone();
  }

  /** The sweeper's call: a wake, and the index hears of the run even if it seems to know it. */
  poke(): void {
    if (!this.exists) return;
    this.#publication.requestNow(this.#ledger.now());
    this.#blockedPoll.hurry();
    this.wake();
  }

  /** Arms the alarm for a run that was loaded without one. One that has ended needs none: most likely it was taken away when the index had all of it. */
  repair(armedAt: number | null): void {
    if (!this.exists || this.#alarm.isKnown) return;
    this.#alarm.learn(armedAt);
    if (this.state.ended && armedAt === null) return this.#showEndAgain();
    const now = this.#ledger.now();
    if (armedAt !== null && armedAt >= now - 60_000) return;
    if (this.#isCodeUnknown) this.#alarm.set(now);
    else this.#arm();
  }

  /** Resolves when nothing executes here any more, or after `maxMs`. */
  quiet(maxMs: number): Promise<void> {
    return this.busy ? this.#quietWaiters.wait(maxMs) : Promise.resolve();
  }

  /** Resolves when the run has ended, or after `maxMs`. */
  end(maxMs: number): Promise<void> {
    return this.state.ended ? Promise.resolve() : this.#endWaiters.wait(maxMs);
  }

  /** Nobody keeps the object any more: the alarm hosts what stays busy, for a floating promise would be lost with the object, unseen. */
  hostByAlarm(): void {
    if (this.busy) this.#unhosted.begin(this.#ledger.now());
  }

  /** Lets go of the code without a word to the journal, as the end of the process does. */
  drop(): void {
    this.#dropped = true;
    this.#ports.journal.drop();
    this.#execution?.close("The object is gone.");
  }

  #mustExist(): void {
    if (!this.exists) throw new Fault("run_not_found");
  }

  #commitAndGoOn(entries: readonly Entry[]): void {
    this.#ledger.commit(entries);
    if (entries.length > 0) this.#goOn();
  }

  /** The journal grew from outside: the code may have something to do. */
  #goOn(): void {
    this.#execution?.advance();
    this.#proceed();
    this.#turnDone();
  }

  /** Gives the code a chance to go on, if there is something for it. */
  #proceed(evenIfHeld = false): void {
    const { state } = this;
    if (state.ended) return this.#wrapUp();
    if (this.#dropped || !state.started || !state.created || (this.#execution && !this.#execution.closed)) return;
    if (state.paused && !evenIfHeld) return this.#ledger.commit(attemptsCutOff(state, this.#ledger.now()));
    if (state.blocked && this.#ledger.now() < this.#blockedPoll.at) return;
    const { workflow, version } = state.created;
    const definition = this.#ports.registry.workflow(workflow, version);
    if (!definition) return this.#block("version_missing", `Version ${version} of ${workflow} is not deployed. The run goes on when it is.`);
    if (state.blocked) this.#blockedPoll.postpone(this.#ledger.now());
    this.#execution = new Execution(this.#ledger, this.#ports, this.#stopping, {
      dispatch: (step) => this.#dispatch.send(step),
      progressed: this.#armSoon,
      parked: () => this.#becameQuiet(),
      ended: () => this.#wrapUp(),
      blocked: (reason, message) => this.#block(reason, message),
    });
    this.#longBusy.begin(this.#ledger.now());
    this.#execution.run(definition);
  }

  #doDue(now: number): void {
    const { state } = this;
    const { lastSeq } = state;
    if (!state.created || state.ended) return;
    if (state.paused) return this.#noticesDue(now);
    if (state.deadlineAt !== null && state.deadlineAt <= now && !state.rollback) this.#ledger.commit([timedOut(state, now)]);
    if (!state.started && !state.ended && state.created.startAt <= now) this.#ledger.commit([{ kind: "run.started", at: now }]);
    if (state.blocked || state.ended) return this.#noticesDue(now);
    for (const step of [...state.open.values()]) this.#stepDue(step, now);
    if (state.lastSeq > lastSeq) this.#execution?.advance();
    else this.#execution?.tick();
  }

  /** A run that is held or blocked still tells people of itself. */
  #noticesDue(now: number): void {
    for (const step of [...this.state.open.values()]) if (step.kind === "notice") this.#stepDue(step, now);
  }

  #stepDue(step: StepState, now: number): void {
    if (step.wakeAt !== null && step.wakeAt <= now) return this.#ledger.commit([waitEnded(step, now)]);
    this.#dispatch.doDue(step, now);
    if (step.lostInARow >= limits.lostAttemptsInARow && step.kind === "notice") return this.#ledger.commit([gaveUp(step, now)]);
    if (step.lostInARow >= limits.lostAttemptsInARow) {
      return this.#block("crash_loop", `Step ${step.key} was lost ${step.lostInARow} times in a row; what runs it may not survive it.`);
    }
    if (step.status === "retrying" && (step.retryAt ?? 0) <= now) this.#retry(step, now);
  }

  #retry(step: StepState, now: number): void {
    if (step.dispatch === "inline") return this.#execution?.retry(step);
    this.#dispatch.retry(step, now);
  }

  #block(reason: BlockReason, message: string): void {
    this.#execution?.close("The run is blocked.");
    this.#execution = null;
    if (!this.state.blocked) {
      this.#ports.log.error(`Blocked: ${message}`, { reason });
      this.#ledger.commit([{ kind: "run.blocked", at: this.#ledger.now(), reason, message }]);
      this.#blockedPoll.begin(this.#ledger.now());
    } else this.#blockedPoll.postpone(this.#ledger.now());
    this.#becameQuiet();
  }

  /** The run has ended: everything in memory is let go, and the index must hear of it. */
  #wrapUp(): void {
    this.#execution?.close("The run has ended.");
    this.#dispatch.forgetAll();
    this.#ledger.forgetValues();
    this.#publication.requestEnd(summarySeq(this.state, this.busy), this.#ledger.now());
    this.#becameQuiet();
    this.#endWaiters.release();
  }

  #becameQuiet(): void {
    if (this.busy || this.#dropped) return;
    this.#longBusy.over();
    this.#unhosted.over();
    this.#publication.request(summarySeq(this.state, this.busy), this.#ledger.now());
    this.#turnDone();
    this.#quietWaiters.release();
  }

  /** What every entrance ends with: the index hears what is due, and the alarm stands at the next thing to do. */
  #turnDone(): void {
    const now = this.#ledger.now();
    this.#notices.doDue(now);
    // Where no code executes, nobody else tells of what has changed.
    if (!this.busy) this.#publication.request(summarySeq(this.state, false), now);
    if ((this.#publication.dueAt ?? Number.POSITIVE_INFINITY) <= now) void this.#publication.send(this.summary, now);
    this.#arm();
    this.write();
  }

  /** The object was loaded, and its code has not run since: what it has still to do, only the alarm that was set before knows. */
  get #isCodeUnknown(): boolean {
    return this.#execution === null && mayExecute(this.state);
  }

  /** While the run is busy, the alarm is there for its death only; and it resends what the index has not confirmed. Both may come early. */
  #arm(): void {
    if (!this.exists || this.#isCodeUnknown) return;
    const now = this.#ledger.now();
    const wakeAt = nextWakeAt(this.state, {
      publishAt: this.#publication.dueAt,
      dispatchAt: () => this.#dispatch.nextDueAt(),
      stopAt: () => this.#stopping.dueAt(),
      noticeAt: () => this.#notices.nextDueAt(now),
      blockedPollAt: this.#blockedPoll.at,
      leaseAt: this.busy ? now + this.#ports.settings.leaseMs : null,
      retriesFrom: this.#execution?.replaying ? now + this.#ports.settings.leaseMs : 0,
    });
    this.#alarm.stand(wakeAt, { now, earlyIsFine: this.busy || this.state.ended !== null || this.#publication.dueAt !== null });
  }

  /** Asks the code, replayed if need be, whether a payload fits the wait that takes it. Code that can't run is not asked. */
  async #checkPayload(payload: string, taker: () => StepState | null): Promise<void> {
    const step = taker();
    if (!step?.wait?.hasSchema) return;
    this.#proceed(true);
    this.#arm();
    while (this.#execution?.busy && this.#execution.replaying) await this.#ports.clock.idle();
    const now = taker();
    if (now) refuseUnfit(now, this.#execution?.issuesWith(now.key, decode(payload)) ?? []);
  }
}

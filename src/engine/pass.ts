import { Fault } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { Moment, RunState } from "#core/run-state.ts";
import { checkStepName, stepKey } from "#core/step-key.ts";
import type { StepState } from "#core/step-state.ts";
import type { Call, CallRequest } from "./call.ts";

/**
 * A pass runs the workflow function over the journal until it ends or every branch is parked.
 *
 * The function sees what happened in exactly the order of the journal: one result is delivered at a time, and only after the function has
 * made every call that the journal says came before it. That makes branches, loops, `Promise.all` and `Promise.race` come out on replay as
 * they did the first time, without a wrapper around any of them. A parked branch is a promise that never settles; nothing is ever thrown to
 * suspend, so the author's `catch` and `finally` run for real reasons only.
 */
export class Pass {
  readonly #host: PassHost;
  readonly #state: RunState;
  readonly #calls = new Map<string, Call>();
  readonly #counts = new Map<string, number>();
  /** Calls of steps that the journal does not know, made while there is still history to replay. */
  readonly #held: Call[] = [];
  /** How far the function has seen the journal's moments. */
  #cursor = 0;
  readonly #seenMoments: number;
  /** Calls whose result the function has not got yet. */
  readonly #awaited = new Set<string>();
  /** Moments that were there when the pass began: up to here it replays. */
  readonly #historyEnd: number;
  #cooling = false;
  /** Microtasks until the code counts as having had its say. */
  #hopsLeft = 0;
  #closed = false;
  #settled = false;
  #parked = false;
  /** Grows with everything that happens, so that silence can be told. */
  #activity = 0;
  #watching = false;
  #announced = false;

  constructor(host: PassHost, seenMoments: number) {
    this.#host = host;
    this.#seenMoments = seenMoments;
    this.#state = host.state;
    this.#historyEnd = host.state.moments.length;
  }

  /** Every branch waits for something that the journal or an attempt under way will bring. */
  get parked(): boolean {
    return this.#parked;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get replaying(): boolean {
    return this.#cursor < this.#historyEnd;
  }

  /** The function does what an earlier execution did before it. */
  get repeating(): boolean {
    return this.#cursor < this.#seenMoments;
  }

  get activity(): number {
    return this.#activity;
  }

  /** Begins the function. Its outcome goes to the host, unless the pass was closed before. */
  start(run: () => unknown): void {
    this.#pump();
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      result = Promise.reject(error);
    }
    Promise.resolve(result).then(
      (value) => this.#end({ ok: true, value }),
      (error: unknown) => this.#end({ ok: false, error }),
    );
    this.#watch();
  }

  /** Drops the function: nothing reaches it any more, and nothing that it does has an effect. */
  close(): void {
    this.#closed = true;
    this.#calls.clear();
    this.#held.length = 0;
  }

  /**
   * The function has had its say: it sees no more results and begins no more steps. Its calls stay, for they hold how steps are undone.
   */
  retire(): void {
    this.#settled = true;
    this.#held.length = 0;
  }

  /** A step call by the workflow function. The promise settles when the step's end is delivered; after `close`, never. */
  call(request: CallRequest): Promise<unknown> {
    if (this.#closed || this.#settled) return new Promise(() => {});
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // A step that nobody awaits may fail without taking the process down; the run's history shows it.
    promise.catch(() => {});
    try {
      const identity = this.#identify(request.name);
      this.#register({ ...request, ...identity, resolve, reject });
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /** The journal grew. */
  advance(): void {
    this.#activity++;
    this.#parked = false;
    this.#pump();
  }

  /** The registered call of an open step, for launching its next attempt; null when the function has not come to it. */
  callOf(key: string): Call | null {
    return this.#calls.get(key) ?? null;
  }

  #identify(name: string): { key: string; count: number } {
    checkStepName(name);
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return { key: stepKey(name, count), count };
  }

  #register(call: Call): void {
    this.#activity++;
    this.#parked = false;
    this.#cool();
    const known = this.#state.steps.get(call.key);
    if (known) {
      const difference = differs(known, call);
      if (difference) return this.#block(difference);
      this.#calls.set(call.key, call);
      this.#awaited.add(call.key);
      this.#pump();
    } else if (!this.#announced || this.#isHeld) {
      this.#held.push(call);
      this.#watch();
    } else {
      this.#begin(call);
    }
  }

  #begin(call: Call): void {
    if (this.#state.steps.size >= limits.stepsPerRun) {
      // Not thrown into the function: one that catches everything in a loop would never end.
      const error = new Fault("step_limit", `A run has at most ${limits.stepsPerRun} steps. Continue in a new run.`, { limit: limits.stepsPerRun });
      return this.#end({ ok: false, error });
    }
    this.#calls.set(call.key, call);
    this.#awaited.add(call.key);
    this.#host.begin(call);
    this.#pump();
  }

  /** Somebody holds the run, or it is being rolled back: the function gets nothing new to do. */
  get #isHeld(): boolean {
    return this.#state.paused !== null || this.#state.rollback !== null;
  }

  /** Shows the function the moments that are its turn to see. Stops after each delivery, so that what the delivery sets off comes first. */
  #pump(): void {
    while (!this.#cooling && !this.#closed) {
      // A rollback needs the replay to its end, for the calls that hold how to undo; what the function would see after that is not for it any more.
      if (this.#state.paused && !this.#state.rollback && !this.replaying && this.#announced) return this.#watch();
      if (!this.#announced && !this.replaying) this.#announce();
      else if (!this.#next()) return;
    }
  }

  /** Takes the next moment. False when it is not there yet, or the function has not come to it. */
  #next(): boolean {
    const moment = this.#state.moments[this.#cursor];
    if (!moment) {
      this.#caughtUp();
      return false;
    }
    if (moment.type === "start" && !this.#calls.has(moment.key)) {
      this.#watch();
      return false;
    }
    this.#cursor++;
    if (moment.type !== "start") this.#deliver(moment);
    return true;
  }

  #deliver(moment: Moment): void {
    this.#activity++;
    if (moment.type === "cancel") {
      for (const call of this.#calls.values()) {
        if (this.#state.steps.get(call.key)?.endSeq === moment.seq) this.#settle(call, moment);
      }
    } else {
      const call = this.#calls.get(moment.key);
      if (call) this.#settle(call, moment);
    }
    this.#cool();
  }

  #settle(call: Call, moment: Moment): void {
    this.#awaited.delete(call.key);
    try {
      call.resolve(this.#host.resultOf(call, moment.seq));
    } catch (error) {
      call.reject(error);
    }
  }

  /**
   * Holds the next delivery back until the function has had its say: so many microtasks after the last delivery, and after the last call. The function is at
   * rest at every delivery, then, at the first execution as at every replay, and what it does next depends on nothing but what is delivered.
   */
  #cool(): void {
    this.#hopsLeft = reactionHops;
    if (this.#cooling) return;
    this.#cooling = true;
    const hop = (): void => {
      if (this.#hopsLeft-- > 0) return void settled.then(hop);
      this.#cooling = false;
      this.#pump();
    };
    hop();
  }

  /** The history is replayed: what the function called meanwhile begins, and attempts that are due or were lost can be launched. */
  #announce(): void {
    this.#announced = true;
    this.#host.caughtUp();
  }

  /** The function has seen all there is. */
  #caughtUp(): void {
    for (const call of this.#isHeld ? [] : this.#held.splice(0)) {
      if (!this.#closed) this.#begin(call);
    }
    // Before the function has begun there is nothing that it could have reacted to.
    if (this.#activity > 0) this.#host.shown();
    // An attempt under way will make itself heard when it ends.
    if (!this.#closed && this.#host.attemptsUnderWay() === 0) this.#watch();
  }

  /** Waits for silence: then the pass is parked, or the replay is stuck because the code no longer makes a call that the journal knows. */
  #watch(): void {
    if (this.#watching || this.#closed || this.#settled) return;
    this.#watching = true;
    void this.#listen().finally(() => {
      this.#watching = false;
    });
  }

  async #listen(): Promise<void> {
    let seen = -1;
    let silentTurns = 0;
    while (!this.#closed && !this.#settled) {
      silentTurns = seen === this.#activity ? silentTurns + 1 : 0;
      seen = this.#activity;
      if (silentTurns > 0 && !this.#cooling && this.#quiet(silentTurns)) return;
      await this.#host.idle();
    }
  }

  /** True when there is nothing more to listen for. */
  #quiet(silentTurns: number): boolean {
    const isHeld = this.#state.paused !== null && this.#state.rollback === null && !this.replaying;
    if (this.#cursor < this.#state.moments.length && !isHeld) {
      if (silentTurns < stuckAfterTurns) return false;
      this.#stuck();
      return true;
    }
    if (this.#host.attemptsUnderWay() > 0) return true;
    const waits = [...this.#state.open.values()].some((step) => step.kind !== "notice");
    if (waits || this.#isHeld) {
      this.#parked = true;
      this.#host.parked();
    }
    return true;
  }

  /** A code that waits for nothing that Segno knows of is not stuck: it does something else, and will be heard of. */
  #stuck(): void {
    const expected = this.#state.moments[this.#cursor];
    const [awaited] = this.#awaited;
    const instead = this.#held[0] ?? (awaited === undefined ? undefined : this.#calls.get(awaited));
    if (!expected || !instead) return;
    const known = this.#state.steps.get(expected.key);
    this.#block(
      `The journal has step ${expected.key} (${known?.kind}) next, at entry ${expected.seq}; the code called ${instead.key} (${instead.kind}) instead.`,
    );
  }

  #block(difference: string): void {
    this.close();
    this.#host.nondeterministic(difference);
  }

  #end(outcome: PassOutcome): void {
    if (this.#closed || this.#settled) return;
    const missed = this.#state.moments.slice(this.#cursor, this.#historyEnd).find((moment) => moment.type === "start" && !this.#calls.has(moment.key));
    if (missed) {
      const known = this.#state.steps.get(missed.key);
      return this.#block(`The journal has step ${missed.key} (${known?.kind}) next, at entry ${missed.seq}; the code ended without calling it.`);
    }
    this.retire();
    this.#host.ended(outcome);
  }
}

/** Each `then` of it is one microtask; `queueMicrotask` does the same at many times the price. */
const settled = Promise.resolve();

/** The longest reaction of the function to a result, in microtasks, that is told apart from what comes next. */
const reactionHops = 40;

/** Turns of the event loop without a sign of life after which a replay that waits for a call is taken to be stuck. */
const stuckAfterTurns = 300;

export type PassOutcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** What a pass needs of the run it belongs to. */
export interface PassHost {
  readonly state: RunState;
  /** Journals the step's start and sets its first attempt going. Does not throw: a step that can't begin is journaled as failed. */
  begin(call: Call): void;
  /** The result of the step that ended at `seq`, for the author. @throws the step's error. */
  resultOf(call: Call, seq: number): unknown;
  caughtUp(): void;
  /** The function has been shown all there is, and has reacted to it. */
  shown(): void;
  attemptsUnderWay(): number;
  parked(): void;
  ended(outcome: PassOutcome): void;
  nondeterministic(difference: string): void;
  idle(): Promise<void>;
}

function differs(known: StepState, call: Call): string | null {
  if (known.kind !== call.kind) return `Step ${call.key} is recorded as ${known.kind}; the code calls it as ${call.kind}.`;
  if (known.automation !== call.automation)
    return `Step ${call.key} is recorded with the automation ${known.automation}; the code calls it with ${call.automation}.`;
  return null;
}

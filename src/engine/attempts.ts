import { Fault } from "#core/fault.ts";
import type { AttemptArguments } from "./call.ts";
import type { Clock } from "./ports.ts";
import type { Stopping } from "./stopping.ts";

export type AttemptResult = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export interface AttemptOptions {
  /** When the step's wait ends, for a callback, epoch ms; null: never. */
  readonly wakeAt: number | null;
  readonly input: unknown;
  readonly attempt: number;
  /** Epoch ms; null: no limit. */
  readonly deadlineAt: number | null;
  readonly action: (attempt: AttemptArguments) => unknown;
  readonly settle: (result: AttemptResult) => void;
}

/** One attempt, as its action gets it. The signal is made when somebody looks at it: most actions never do. */
class UnderWay implements AttemptArguments {
  readonly key: string;
  readonly wakeAt: number | null;
  readonly input: unknown;
  readonly attempt: number;
  readonly options: AttemptOptions;
  /** Resolves when the action has come to its end; null before it is called. */
  end: Promise<void> | null = null;
  #controller: AbortController | null = null;
  #abortedFor: Fault | null = null;

  constructor(key: string, options: AttemptOptions) {
    this.key = key;
    this.wakeAt = options.wakeAt;
    this.input = options.input;
    this.attempt = options.attempt;
    this.options = options;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abortedFor) this.#controller.abort(this.#abortedFor);
    }
    return this.#controller.signal;
  }

  abort(reason: Fault): void {
    this.#abortedFor = reason;
    this.#controller?.abort(reason);
  }
}

/**
 * The attempts that this object is executing right now. Each reports exactly once: its result, its time-out, or nothing after `abandon`.
 * All of it is memory: what a crash takes away here, the journal still shows as running.
 */
export class Attempts {
  readonly #clock: Clock;
  /** Called before actions are: what was recorded of their starts is written now. */
  readonly #beforeActing: () => void;
  readonly #stopping: Stopping;
  readonly #underWay = new Map<string, UnderWay>();
  /** Those whose action has not been called yet. */
  #starting: UnderWay[] = [];
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  constructor(clock: Clock, stopping: Stopping, beforeActing: () => void) {
    this.#clock = clock;
    this.#stopping = stopping;
    this.#beforeActing = beforeActing;
  }

  get size(): number {
    return this.#underWay.size;
  }

  keys(): readonly string[] {
    return [...this.#underWay.keys()];
  }

  has(key: string): boolean {
    return this.#underWay.has(key);
  }

  /**
   * Runs `action` and reports to `settle`. The action is called a microtask later, together with all that begin meanwhile, so that their starts are written
   * at once. One that ignores its signal is left behind at the deadline; what it returns later is dropped.
   */
  run(key: string, options: AttemptOptions): void {
    const attempt = new UnderWay(key, options);
    this.#underWay.set(key, attempt);
    this.#watch(options.deadlineAt);
    this.#starting.push(attempt);
    if (this.#starting.length === 1) queueMicrotask(() => this.#startAll());
  }

  #startAll(): void {
    const starting = this.#starting;
    this.#starting = [];
    try {
      this.#beforeActing();
    } catch {
      return; // What was to be recorded could not be: the object is dropped.
    }
    for (const attempt of starting) if (this.#underWay.get(attempt.key) === attempt) this.#act(attempt);
  }

  #act(attempt: UnderWay): void {
    let result: unknown;
    try {
      result = attempt.options.action(attempt);
    } catch (error) {
      // Reported in a microtask as a rejection would be, so that a throwing action behaves the same whether it is async or not.
      result = Promise.reject(error);
    }
    attempt.end = Promise.resolve(result).then(
      (value) => this.#settle(attempt, { ok: true, value }),
      (error: unknown) => this.#settle(attempt, { ok: false, error }),
    );
  }

  /** Aborts and forgets the attempts of these steps, or all. Nothing is reported for them. */
  abandon(reason: string, keys: Iterable<string> = [...this.#underWay.keys()]): void {
    for (const key of keys) {
      const attempt = this.#underWay.get(key);
      this.#underWay.delete(key);
      if (attempt) this.#stop(attempt, new Fault("cancelled", reason));
    }
    this.rest();
  }

  #stop(attempt: UnderWay, reason: Fault): void {
    attempt.abort(reason);
    if (attempt.end !== null) this.#stopping.told(attempt.end);
  }

  #settle(attempt: UnderWay, result: AttemptResult): void {
    if (this.#underWay.get(attempt.key) !== attempt) return;
    this.#underWay.delete(attempt.key);
    attempt.options.settle(result);
  }

  /** One timer serves all: it is moved only for an earlier deadline, so a run of many quick steps sets it once, and rests when the run does. */
  #watch(deadlineAt: number | null): void {
    if (deadlineAt === null || (this.#timer && this.#timer.at <= deadlineAt)) return;
    this.#timer?.cancel();
    this.#timer = { at: deadlineAt, cancel: this.#clock.timer(deadlineAt, () => this.#expire()) };
  }

  #expire(): void {
    this.#timer = null;
    const now = this.#clock.now();
    for (const attempt of [...this.#underWay.values()]) {
      const { deadlineAt } = attempt.options;
      if (deadlineAt === null || deadlineAt > now) continue;
      const error = new Fault("timeout", `The attempt of ${attempt.key} took longer than its time-out.`);
      this.#stop(attempt, error);
      this.#settle(attempt, { ok: false, error });
    }
    for (const attempt of this.#underWay.values()) this.#watch(attempt.options.deadlineAt);
  }

  /** Nothing is to come soon: lets go of the timer, which would keep the object in memory long after its last attempt. */
  rest(): void {
    if (this.#underWay.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }
}

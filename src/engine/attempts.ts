import { Fault } from "#core/fault.ts";
import type { Clock } from "./ports.ts";

export type AttemptResult = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

interface UnderWay {
  readonly controller: AbortController;
  /** Epoch ms; null: no limit. */
  readonly deadlineAt: number | null;
  readonly timeoutMessage: string;
  readonly settle: (result: AttemptResult) => void;
}

/**
 * The attempts that this object is executing right now. Each reports exactly once: its result, its time-out, or nothing after `abandon`.
 * All of it is memory: what a crash takes away here, the journal still shows as running.
 */
export class Attempts {
  readonly #clock: Clock;
  readonly #underWay = new Map<string, UnderWay>();
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
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

  /** Runs `action` and reports to `settle`. An action that ignores its signal is left behind at the deadline; what it returns later is dropped. */
  run(
    key: string,
    options: { readonly deadlineAt: number | null; readonly action: (signal: AbortSignal) => unknown; readonly settle: (result: AttemptResult) => void },
  ): void {
    const controller = new AbortController();
    const { deadlineAt, action, settle } = options;
    const attempt: UnderWay = { controller, deadlineAt, timeoutMessage: `The attempt of ${key} took longer than its time-out.`, settle };
    this.#underWay.set(key, attempt);
    this.#watch(deadlineAt);
    let result: unknown;
    try {
      result = action(controller.signal);
    } catch (error) {
      // Reported in a microtask as a rejection would be, so that a throwing action behaves the same whether it is async or not.
      result = Promise.reject(error);
    }
    Promise.resolve(result).then(
      (value) => this.#settle(key, attempt, { ok: true, value }),
      (error: unknown) => this.#settle(key, attempt, { ok: false, error }),
    );
  }

  /** Aborts and forgets the attempts of these steps, or all. Nothing is reported for them. */
  abandon(reason: Fault, keys: Iterable<string> = [...this.#underWay.keys()]): void {
    for (const key of keys) {
      const attempt = this.#underWay.get(key);
      this.#underWay.delete(key);
      attempt?.controller.abort(reason);
    }
    this.rest();
  }

  #settle(key: string, attempt: UnderWay, result: AttemptResult): void {
    if (this.#underWay.get(key) !== attempt) return;
    this.#underWay.delete(key);
    attempt.settle(result);
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
    for (const [key, attempt] of [...this.#underWay]) {
      if (attempt.deadlineAt === null || attempt.deadlineAt > now) continue;
      const error = new Fault("timeout", attempt.timeoutMessage);
      this.#settle(key, attempt, { ok: false, error });
      attempt.controller.abort(error);
    }
    for (const attempt of this.#underWay.values()) this.#watch(attempt.deadlineAt);
  }

  /** Nothing is to come soon: lets go of the timer, which would keep the object in memory long after its last attempt. */
  rest(): void {
    if (this.#underWay.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }
}

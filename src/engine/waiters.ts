import type { Clock } from "./ports.ts";

/** Callers that wait for something to happen to the run. */
export class Waiters {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves at the next `release`, or after `maxMs`. */
  wait(maxMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.timer(this.#clock.now() + maxMs, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }

  release(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

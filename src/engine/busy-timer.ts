import type { Clock } from "./ports.ts";

/** How long a run may be busy before the index shows it, in ms. A run that ends sooner costs one index write. */
export const showBusyAfterMs = 1000;

/** How long a run may be busy with nobody waiting before the alarm hosts it, in ms: most have come to rest by then, and the platform keeps an idle object for ten times as long. */
export const hostAfterMs = 1000;

/** Does something when a run stays busy for so long, in ms. */
export class BusyTimer {
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #act: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, afterMs: number, act: () => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#act = act;
  }

  begin(now: number): void {
    this.over();
    this.#cancel = this.#clock.timer(now + this.#afterMs, this.#act);
  }

  over(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}

import type { Clock } from "./ports.ts";

/** How long a run may be busy before the index shows it, in ms. A run that ends sooner costs one index write. */
const showAfterMs = 1000;

/** Has a run shown that stays busy for long. */
export class LongBusy {
  readonly #clock: Clock;
  readonly #show: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, show: () => void) {
    this.#clock = clock;
    this.#show = show;
  }

  begin(now: number): void {
    this.over();
    this.#cancel = this.#clock.timer(now + showAfterMs, this.#show);
  }

  over(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}

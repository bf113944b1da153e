import type { Alarm } from "./ports.ts";

/** Knows what the alarm is set to, so that it is written only when that must change: each setting is a row write. */
export class AlarmKeeper {
  readonly #alarm: Alarm;
  /** Null: not set; undefined: not known, since this object was just made. */
  #at: number | null | undefined = undefined;

  constructor(alarm: Alarm) {
    this.#alarm = alarm;
  }

  get isKnown(): boolean {
    return this.#at !== undefined;
  }

  /** What the platform says that the alarm is set to; null: not set. */
  learn(at: number | null): void {
    this.#at = at;
  }

  set(at: number): void {
    // The platform refuses times before 1970, which a caller's clock or a hand-made time may bring.
    this.#alarm.set(Math.max(1, at));
    this.#at = at;
  }

  /**
   * Has the alarm stand at `at`; null: at nothing. An alarm that is earlier, yet to come, is left alone where `earlyIsFine`: it costs a wake at most,
   * while moving it would cost a write each time.
   */
  stand(at: number | null, options: { readonly now: number; readonly earlyIsFine: boolean }): void {
    if (at === null) {
      if (this.#at !== null) this.#alarm.clear();
      this.#at = null;
      return;
    }
    const standing = this.#at;
    const isFine = standing === at || (options.earlyIsFine && typeof standing === "number" && standing < at);
    if (!isFine || (standing ?? 0) <= options.now) this.set(at);
  }
}

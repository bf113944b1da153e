/** Random numbers that a seed repeats (mulberry32). Every choice of the simulation is drawn from one of these. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  }

  /** What has been drawn so far, as a number: two simulations that draw alike have the same. */
  get state(): number {
    return this.#state;
  }

  /** From 0 up to 1. */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to `below` - 1. */
  int(below: number): number {
    return Math.floor(this.number() * below);
  }

  /** True in `percent` of 100 cases. */
  yes(percent: number): boolean {
    return this.number() * 100 < percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.number() * items.length)] as T;
  }

  uuid(): string {
    return `00000000-0000-4000-8000-${Math.floor(this.number() * 2 ** 40)
      .toString(16)
      .padStart(12, "0")}`;
  }
}

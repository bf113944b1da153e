/** How often a blocked run looks whether what blocked it is gone: doubling from the first to the longest pause, in ms. */
const pauseMs = { first: 30_000, longest: 60 * 60_000 };

/** When a blocked run looks again. It is memory: after a restart it looks at once, for a restart is often what brings the right code. */
export class BlockedPoll {
  #count = 0;
  /** Epoch ms. */
  at = 0;

  begin(now: number): void {
    this.#count = 0;
    this.postpone(now);
  }

  /** Somebody asks to look now. */
  hurry(): void {
    this.at = 0;
  }

  postpone(now: number): void {
    this.at = now + Math.min(pauseMs.first * 2 ** this.#count, pauseMs.longest);
    this.#count++;
  }
}

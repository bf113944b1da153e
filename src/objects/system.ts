import type { Clock, Random } from "#engine/ports.ts";

/** Timers take at most about 24.8 days; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The platform's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timer: (at, fire) => {
    const timer = setTimeout(fire, Math.min(Math.max(0, at - Date.now()), longestTimerMs));
    return () => clearTimeout(timer);
  },
  idle: () => new Promise((resolve) => setTimeout(resolve, 0)),
};

export const systemRandom: Random = {
  number: () => Math.random(),
  uuid: () => crypto.randomUUID(),
};

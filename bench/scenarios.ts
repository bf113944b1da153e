import { type Caller, callers, type Variant } from "./callers.ts";
import type { Client } from "./http.ts";

/** What is measured, each in forms that do the same for the caller. */
export interface Scenario {
  readonly name: string;
  /** Key in the JSON output; null: only in the table. */
  readonly key: string | null;
  /** What the numbers are: ms, or runs in a second. */
  readonly unit: "ms" | "runs/s";
  readonly variants: readonly Variant[];
  /** Measurements of each variant per round; no round at all leaves the scenario out. */
  readonly repeats: number;
  readonly rounds: { readonly quick: number; readonly full: number };
  /** Its part of the time of a quick run, against those of the others. */
  readonly share: number;
  /** About what one measurement of Cloudflare Workflows takes on a busy machine, in ms. */
  readonly peerMs: number;
  measure(client: Client, variant: Variant): Promise<number>;
}

const all = ["segno", "floor", "gate", "cloudflare"] as const;
const bare = ["segno", "floor", "gate"] as const;

export const scenarios: readonly Scenario[] = [
  ofProgram("sequential 10", "sequential", 10, { variants: all, repeats: 10, rounds: { quick: 2, full: 9 }, share: 1 }),
  ofProgram("sequential 100", "sequential", 100, { variants: all, repeats: 5, rounds: { quick: 2, full: 9 }, share: 1 }),
  ofProgram("sequential 1,000", "sequential", 1_000, { key: "sequential1000", variants: all, rounds: { quick: 7, full: 15 }, share: 4 }),
  ofProgram("sequential 10,000", "sequential", 10_000, { variants: all, rounds: { quick: 0, full: 5 } }),
  ofProgram("sequential 1,000, a turn each", "turns", 1_000, { rounds: { quick: 0, full: 5 } }),
  ofProgram("fan-out 200", "fan-out", 200, { variants: all, repeats: 3, rounds: { quick: 2, full: 9 }, share: 1 }),
  ofProgram("fan-out 1,000", "fan-out", 1_000, { key: "fanout1000", variants: all, rounds: { quick: 15, full: 15 }, share: 4 }),
  {
    name: "short runs of 5 steps, 50 at a time",
    key: "shortRuns",
    unit: "runs/s",
    variants: all,
    repeats: 1,
    rounds: { quick: 4, full: 12 },
    share: 6,
    peerMs: 9_000,
    measure: (client, variant) => shortRuns(callers[variant](client)),
  },
  {
    name: "event to completion",
    key: "event",
    unit: "ms",
    variants: all,
    repeats: 10,
    rounds: { quick: 4, full: 10 },
    share: 4,
    peerMs: 500,
    measure: (client, variant) => eventToCompletion(callers[variant](client)),
  },
  {
    name: "sleep: ms too late",
    key: "sleep",
    unit: "ms",
    variants: ["segno", "floor", "cloudflare"],
    repeats: 3,
    rounds: { quick: 3, full: 10 },
    share: 2,
    peerMs: 1_000,
    measure: (client, variant) => lateness(callers[variant](client)),
  },
  ofProgram("5 results of 1 MB", "payload", 5, { key: "payload", variants: all, repeats: 2, rounds: { quick: 6, full: 15 }, share: 3 }),
  ofProgram("start of 1 step, to its end", "sequential", 1, { key: "start", variants: all, repeats: 10, rounds: { quick: 4, full: 15 }, share: 2 }),
];

interface Measured {
  readonly key?: string;
  readonly variants?: readonly Variant[];
  readonly repeats?: number;
  readonly rounds: Scenario["rounds"];
  readonly share?: number;
}

/** One run of a program, from the request until the answer that it has ended. */
function ofProgram(name: string, program: string, steps: number, measured: Measured): Scenario {
  const measure: Scenario["measure"] = (client, variant) => timed(() => callers[variant](client).run(program, steps));
  return { name, key: null, unit: "ms", variants: bare, repeats: 1, share: 1, peerMs: 200 + steps * 5, ...measured, measure };
}

/** Of one measurement: small, so that the variants take turns often, and over in time on a busy machine. */
const shortRunLimits = { runs: 125, ms: 2_000, atATime: 50 };

/** Runs in a second: each is a new object, started and waited for by a request of its own. */
async function shortRuns(caller: Caller): Promise<number> {
  const until = performance.now() + shortRunLimits.ms;
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < shortRunLimits.runs && (started < shortRunLimits.atATime || performance.now() < until)) {
      started++;
      await caller.run("sequential", 5);
    }
  };
  const ms = await timed(() => Promise.all(Array.from({ length: shortRunLimits.atATime }, lane)));
  return started / (ms / 1000);
}

/** From sending the event until somebody who waits for the run's end is told of it. */
async function eventToCompletion(caller: Caller): Promise<number> {
  const parked = await caller.park();
  const told = parked.told();
  // The waiter's request must have arrived before the clock starts.
  await new Promise((resolve) => setTimeout(resolve, 25));
  return timed(async () => {
    const sent = parked.send();
    await told;
    await sent;
  });
}

const napMs = 50;

/** How much later than asked for a run goes on: the mean of a few, for the clock tells whole ms only. */
async function lateness(caller: Caller): Promise<number> {
  const late: number[] = [];
  for (let i = 0; i < 4; i++) late.push(await caller.nap(napMs));
  return late.reduce((sum, ms) => sum + ms, 0) / late.length;
}

export interface Parked {
  readonly count: number;
  /** KiB of memory that a run takes while it waits in memory. */
  readonly memoryKiB: number;
  /** ms to have all of them go on by their events and end. */
  readonly resumeMs: number;
}

/** Parks many runs at once, and then has each go on by its event. `rssKiB` is the memory of workerd. */
export async function parkMany(caller: Caller, count: number, rssKiB: () => number): Promise<Parked> {
  const before = rssKiB();
  const parked = await lanes(Array.from({ length: count }), () => caller.park());
  const memoryKiB = (rssKiB() - before) / count;
  const resumeMs = await timed(() =>
    lanes(parked, async (run) => {
      await run.send();
      await run.told();
    }),
  );
  return { count, memoryKiB, resumeMs };
}

async function lanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T);
  };
  await Promise.all(Array.from({ length: 50 }, lane));
  return results;
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

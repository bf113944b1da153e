import { planOf } from "./generate.ts";
import { type Outcome, simulate } from "./simulate.ts";
import { Violation } from "./violation.ts";

/** What a number of seeds came to. */
export interface Tally {
  seeds: number;
  runs: number;
  steps: number;
  commits: number;
  replays: number;
  crashes: number;
  effects: number;
  events: number;
  faults: number;
  kinds: Record<string, number>;
  /** Of all traces. */
  hash: number;
  failures: Failure[];
}

export interface Failure {
  readonly seed: number;
  readonly oracle: string;
  readonly message: string;
}

export function emptyTally(): Tally {
  return { seeds: 0, runs: 0, steps: 0, commits: 0, replays: 0, crashes: 0, effects: 0, events: 0, faults: 0, kinds: {}, hash: 0, failures: [] };
}

/** Adds `more` to `tally`, in place. */
export function add(tally: Tally, more: Tally): void {
  for (const name of ["seeds", "runs", "steps", "commits", "replays", "crashes", "effects", "events", "faults"] as const) tally[name] += more[name];
  for (const [kind, count] of Object.entries(more.kinds)) tally.kinds[kind] = (tally.kinds[kind] ?? 0) + count;
  tally.hash = (tally.hash ^ more.hash) >>> 0;
  tally.failures.push(...more.failures);
}

/** So many seeds between two looks at what nobody caught. */
const glance = 50;

/** Runs `count` seeds from `from` on. */
export async function runSeeds(from: number, count: number): Promise<Tally> {
  const tally = emptyTally();
  for (let seed = from; seed < from + count; seed += glance) {
    const size = Math.min(glance, from + count - seed);
    const uncaught = await watched(() => runPlain(seed, size, tally));
    // Somebody's promise was rejected and not caught: by which seed, only each by itself can tell.
    if (uncaught.length > 0) for (let it = seed; it < seed + size; it++) await findUncaught(it, tally);
  }
  return tally;
}

async function runPlain(from: number, count: number, tally: Tally): Promise<void> {
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await simulate(planOf(seed));
    tell(tally, outcome);
    if (outcome.violation) tally.failures.push({ seed, oracle: outcome.violation.oracle, message: outcome.violation.message });
  }
}

async function findUncaught(seed: number, tally: Tally): Promise<void> {
  const { violation } = await simulateWatched(seed, false);
  if (violation && !tally.failures.some((it) => it.seed === seed)) tally.failures.push({ seed, oracle: violation.oracle, message: violation.message });
}

/** One seed by itself; a rejection that nobody catches is a violation. */
export async function simulateWatched(seed: number, traced: boolean, plan = planOf(seed)): Promise<Outcome> {
  let outcome: Outcome | null = null;
  const uncaught = await watched(async () => {
    outcome = await simulate(plan, { traced });
  });
  const done = outcome as unknown as Outcome;
  const [first] = uncaught;
  return done.violation || first === undefined ? done : { ...done, violation: new Violation("engine", `nobody caught ${String(first)}`) };
}

/** What was rejected during `work` and caught by nobody, but for what an object threw that was dropped for it. */
async function watched(work: () => Promise<void>): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => {
    if (!(error instanceof Error && (error.message === "Storage is full." || error.message === "The object is gone."))) uncaught.push(error);
  };
  // Those who listen otherwise would take what a dead object throws for a failure.
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", note);
  await work();
  await new Promise<void>((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", note);
  for (const listener of others) process.on("unhandledRejection", listener);
  return uncaught;
}

function tell(tally: Tally, { counts, runs, hash }: Outcome): void {
  tally.seeds++;
  tally.runs += runs;
  tally.steps += counts.steps;
  tally.commits += counts.commits;
  tally.replays += counts.replays;
  tally.crashes += counts.crashes;
  tally.effects += counts.effects;
  tally.events += counts.events;
  tally.faults += counts.faults;
  for (const [kind, count] of counts.byKind) tally.kinds[kind] = (tally.kinds[kind] ?? 0) + count;
  tally.hash = Math.imul(tally.hash ^ hash, 0x01000193) >>> 0;
}

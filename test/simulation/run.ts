import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { add, emptyTally, type Failure, runSeeds, simulateWatched, type Tally } from "./batch.ts";
import { planOf } from "./generate.ts";
import type { Plan } from "./plan.ts";
import { describe } from "./program.ts";
import { shrink } from "./shrink.ts";

/**
 * `npm run --silent simulate -- [--seeds N] [--seed S] [--workers W] [--trace]`: runs N simulated runs from seed S on, holds each to every promise, and
 * exits 0 only where all were kept. The last line counts what was simulated. A seed that fails is printed with the command that replays it, and shrunk; the
 * shrunk plan is printed as JSON, to be kept in `found/`. `--plan file` runs such a plan and prints what happened.
 */

/** Seeds that a worker takes at a time. */
const chunk = 500;
/** After so many failures it is not worth going on. */
const enough = 20;

if (isMainThread) await main();
else {
  parentPort?.on("message", (message) => {
    const { from, count } = message as { from: number; count: number };
    void runSeeds(from, count).then((tally) => parentPort?.postMessage(tally));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "20000" },
      seed: { type: "string", default: "" },
      workers: { type: "string", default: "2" },
      trace: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      plan: { type: "string", default: "" },
    },
  });
  if (values.plan !== "") return tellPlan(JSON.parse(readFileSync(values.plan, "utf8")) as Plan);
  const first = values.seed === "" ? Math.floor(Math.random() * 2 ** 40) * 1000 : Number(values.seed);
  const seeds = Number(values.seeds);
  if (values.trace) return traceAll(first, seeds);
  if (!values.json) console.log(`Seeds ${first} to ${first + seeds - 1}.`);
  const began = performance.now();
  const tally = await inWorkers({ first, seeds, workers: Math.min(Number(values.workers), Math.ceil(seeds / chunk)) });
  const seconds = (performance.now() - began) / 1000;
  for (const failure of tally.failures.slice(0, 3)) await tellFailure(failure);
  if (values.json) console.log(JSON.stringify({ first, ...tally, seconds: Math.round(seconds * 10) / 10 }));
  else console.log(summary(tally, seconds));
  process.exitCode = tally.failures.length > 0 ? 1 : 0;
}

/** Workers take chunk after chunk, so that a slow seed holds up only one of them. */
async function inWorkers(work: { readonly first: number; readonly seeds: number; readonly workers: number }): Promise<Tally> {
  const tally = emptyTally();
  let next = work.first;
  const end = work.first + work.seeds;
  const take = (): { from: number; count: number } | null => {
    if (next >= end || tally.failures.length >= enough) return null;
    const from = next;
    next = Math.min(end, from + chunk);
    return { from, count: next - from };
  };
  if (work.workers <= 1) {
    for (let part = take(); part; part = take()) add(tally, await runSeeds(part.from, part.count));
    return tally;
  }
  await Promise.all(Array.from({ length: work.workers }, () => inOneWorker(take, tally)));
  return tally;
}

function inOneWorker(take: () => { from: number; count: number } | null, tally: Tally): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: null });
    const more = (): void => {
      const part = take();
      if (part) worker.postMessage(part);
      else void worker.terminate().then(() => resolve());
    };
    worker.on("message", (message) => {
      add(tally, message as Tally);
      more();
    });
    worker.on("error", reject);
    more();
  });
}

async function traceAll(first: number, seeds: number): Promise<void> {
  for (let seed = first; seed < first + seeds; seed++) {
    console.log(`Seed ${seed}: ${describe(planOf(seed).program)}`);
    const outcome = await simulateWatched(seed, true);
    console.log(outcome.lines.join("\n"));
    console.log(`Trace ${outcome.hash.toString(16)}.`);
    if (!outcome.violation) continue;
    process.exitCode = 1;
    await tellFailure({ seed, oracle: outcome.violation.oracle, message: outcome.violation.message });
  }
}

async function tellFailure(failure: Failure): Promise<void> {
  const { seed, oracle, message } = failure;
  console.log(`\nSeed ${seed} breaks a promise. ${message}`);
  console.log(`Replay it:  npm run --silent simulate -- --seed ${seed} --seeds 1 --trace`);
  const plan = await shrink(planOf(seed), oracle);
  console.log(`Shrunk:\n${planText(plan)}`);
  await tellPlan(plan);
  console.log(`Keep it in test/simulation/found/<what a user would suffer>.json:\n${JSON.stringify(plan)}`);
}

async function tellPlan(plan: Plan): Promise<void> {
  const { lines, violation } = await simulateWatched(plan.seed, true, plan);
  console.log(lines.map((line) => line.slice(0, 240)).join("\n"));
  if (violation) process.exitCode = 1;
}

function planText({ program, incidents, options }: Plan): string {
  const what = incidents.map((it) => `  at ${it.on} ${it.n}: ${it.what} ${it.a} ${it.b}`);
  return [`  ${describe(program)}`, `  ${JSON.stringify(options)}`, ...what].join("\n");
}

function summary(tally: Tally, seconds: number): string {
  const { seeds, runs, steps, commits, replays, crashes, effects, faults, kinds, failures, hash } = tally;
  const each = Object.entries(kinds).map(([kind, count]) => `${kind} ${count}`);
  return [
    `Faults: ${each.sort().join(", ")}`,
    `${seeds} seeds, ${runs} runs, ${steps} steps, ${commits} commits, ${crashes} crashes, ${replays} replays, ${effects} effects, ${faults} faults in ${seconds.toFixed(1)} s: ${Math.round(seeds / seconds)} seeds/s. Traces ${hash.toString(16)}. ${failures.length} violations.`,
  ].join("\n");
}

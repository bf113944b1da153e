import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureCosts, untilIndexed } from "./costs.ts";
import { fsyncsPerStep } from "./fsyncs.ts";
import { type Client, createClient } from "./http.ts";
import { type LocalWorker, startLocal } from "./local.ts";
import { jsonReport, type Report, type Result, tableReport } from "./report.ts";
import { type Scenario, scenarios, type Variant, variants } from "./scenarios.ts";
import { median } from "./statistics.ts";

/** `npm run bench [-- --quick] [--json] [--fsyncs] [--only <part of a scenario's name>]`: Segno against bare Durable Objects, interleaved in one workerd. */
const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    fsyncs: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

const directory = mkdtempSync(join(tmpdir(), "segno-bench-"));
const lastLines: string[] = [];
const local = await startLocal({
  worker: "worker.ts",
  directory,
  objects: { RUNS: "RunObject", COUNTED: "CountedRun", BARE: "BareObject" },
  line: (text) => {
    lastLines.push(text);
    lastLines.splice(0, lastLines.length - 20);
  },
  restarted: () => console.error("workerd crashed and was started again; what was measured is void. It said:", ...lastLines),
});
const client = createClient(local.url);
try {
  const report = await bench(client, local);
  process.stdout.write(options.json ? `${JSON.stringify(jsonReport(report))}\n` : tableReport(report));
} finally {
  client.close();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function bench(client: Client, local: LocalWorker): Promise<Report> {
  const chosen = scenarios.filter((scenario) => scenario.name.includes(options.only) && roundsOf(scenario) > 0);
  await warmUp(client, chosen);
  const results: Result[] = [];
  for (const scenario of chosen) {
    progress(scenario.name);
    results.push(await measure(client, scenario));
  }
  progress("writes");
  const costs = await measureCosts(client, costRounds());
  return { results, costs, fsyncs: options.fsyncs ? await fsyncsPerStep(client, local.pid()) : null };
}

/** Code that was never run is slow for reasons of its own. */
async function warmUp(client: Client, chosen: readonly Scenario[]): Promise<void> {
  for (const scenario of chosen.filter(({ unit }) => unit === "ms")) {
    for (const variant of variants) await scenario.measure(client, variant);
  }
}

/** The variants take turns, so that whatever else the machine does meets all of them. */
async function measure(client: Client, scenario: Scenario): Promise<Result> {
  const samples: Record<Variant, number[]> = { segno: [], floor: [], gate: [] };
  for (let round = 0; round < roundsOf(scenario) && (round === 0 || isInTime()); round++) {
    for (let turn = 0; turn < variants.length; turn++) {
      const variant = variants[(round + turn) % variants.length] ?? "segno";
      for (let i = 0; i < scenario.repeats; i++) samples[variant].push(await scenario.measure(client, variant));
      await untilIndexed(client, 0);
    }
  }
  return { scenario, samples, segno: median(samples.segno), floor: median(samples.floor), gate: median(samples.gate) };
}

function roundsOf(scenario: Scenario): number {
  return options.quick ? scenario.rounds.quick : scenario.rounds.full;
}

/** A quick run on a busy machine makes do with fewer rounds. */
function isInTime(): boolean {
  return !options.quick || performance.now() < 20_000;
}

function costRounds(): number {
  if (!options.quick) return 7;
  return isInTime() ? 3 : 1;
}

function progress(what: string): void {
  if (!options.json) process.stderr.write(`${what} …\n`);
}

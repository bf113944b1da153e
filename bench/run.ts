import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { callers, type Variant } from "./callers.ts";
import { costReport } from "./cost.ts";
import { type Clients, measureCosts, untilIndexed } from "./costs.ts";
import { fsyncsPerStep } from "./fsyncs.ts";
import { createClient } from "./http.ts";
import { apiKey, countedKey, type LocalWorker, startLocal } from "./local.ts";
import { type ParkedResult, type Report, type Result, reportJson, reportText } from "./report.ts";
import { parkMany, type Scenario, scenarios } from "./scenarios.ts";

/**
 * `npm run bench [-- --quick] [--json] [--fsyncs] [--only <part of a scenario's name>]`: Segno against bare Durable Objects and Cloudflare Workflows, interleaved in one workerd.
 * `npm run bench -- --cost [--json]`: what a million runs cost.
 */
const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    fsyncs: { type: "boolean", default: false },
    cost: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

/** A quick run is over within 50 s, on a busy machine too. Until when it measures Segno and the bare objects, and then Cloudflare Workflows, which take many times as long; in ms. */
const quickUntilMs = { scenarios: 22_000, peer: 36_000 };

const parkedShare = 4;
const parkedRuns = { quick: 200, late: 50, full: 2_000 };

const directory = mkdtempSync(join(tmpdir(), "segno-bench-"));
const lastLines: string[] = [];
const local = await startLocal({
  worker: "worker.ts",
  directory,
  objects: { RUNS: "RunObject", COUNTED: "CountedRun", BARE: "BareObject" },
  workflows: { PEER: "PeerWorkflow" },
  line: (text) => {
    lastLines.push(text);
    lastLines.splice(0, lastLines.length - 20);
  },
  restarted: () => console.error("workerd crashed and was started again; what was measured is void. It said:", ...lastLines),
});
const clients: Clients = { plain: createClient(local.url, apiKey), counted: createClient(local.url, countedKey) };
try {
  process.stdout.write(options.cost ? await costReport(clients, { cpuMs, isJson: options.json }) : await benchReport());
} finally {
  clients.plain.close();
  clients.counted.close();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function benchReport(): Promise<string> {
  const report = await bench(local);
  return options.json ? `${JSON.stringify(reportJson(report))}\n` : reportText(report);
}

async function bench(workerd: LocalWorker): Promise<Report> {
  const chosen = scenarios.filter((scenario) => scenario.name.includes(options.only) && roundsOf(scenario) > 0);
  await warmUp(chosen);
  const results: Result[] = [];
  let sharesLeft = chosen.reduce((sum, { share }) => sum + share, parkedShare);
  for (const scenario of chosen) {
    progress(scenario.name);
    results.push(await measure(scenario, timeFor(scenario.share, sharesLeft)));
    sharesLeft -= scenario.share;
  }
  const parked = "parked".includes(options.only) ? await measureParked() : [];
  progress("writes");
  const costs = options.quick ? await measureCosts(clients, 5, quickUntilMs.peer) : await measureCosts(clients, 7, Number.POSITIVE_INFINITY);
  if (options.quick) await measurePeer(results);
  return { results, parked, costs, fsyncs: options.fsyncs ? await fsyncsPerStep(clients.plain, workerd.pid()) : null };
}

/** Code that was never run is slow for reasons of its own. */
async function warmUp(chosen: readonly Scenario[]): Promise<void> {
  const warmUntil = timeFor(0.2, 1);
  for (const scenario of chosen) {
    for (const variant of scenario.variants) {
      if (variant !== "cloudflare" && performance.now() < warmUntil) await scenario.measure(clients.plain, variant);
    }
  }
}

/** The variants take turns, so that whatever else the machine does meets all of them. */
async function measure(scenario: Scenario, until: number): Promise<Result> {
  const samples = new Map<Variant, number[]>(scenario.variants.map((variant) => [variant, []]));
  for (let round = 0; round < roundsOf(scenario) && (round === 0 || performance.now() < until); round++) {
    for (let turn = 0; turn < scenario.variants.length; turn++) {
      const variant = scenario.variants[(round + turn) % scenario.variants.length] ?? "segno";
      if (options.quick && (variant === "cloudflare" || (variant === "gate" && performance.now() > until))) continue;
      await measureOnce(scenario, variant, samples.get(variant) ?? []);
    }
  }
  return { scenario, samples };
}

async function measureOnce(scenario: Scenario, variant: Variant, samples: number[]): Promise<void> {
  const repeats = variant === "cloudflare" ? Math.min(scenario.repeats, 3) : scenario.repeats;
  for (let i = 0; i < repeats; i++) samples.push(await scenario.measure(clients.plain, variant));
  if (variant === "segno") await untilIndexed(clients.plain, 0);
}

async function measureParked(): Promise<ParkedResult[]> {
  progress("parked runs");
  const isLate = performance.now() > quickUntilMs.scenarios + 3_000;
  const count = options.quick ? parkedRuns[isLate ? "late" : "quick"] : parkedRuns.full;
  const variants: Variant[] = options.quick ? ["floor", "segno"] : ["floor", "segno", "gate"];
  const results: ParkedResult[] = [];
  for (const variant of variants) {
    results.push({ variant, ...(await parkMany(callers[variant](clients.plain), count, rssKiB)) });
    await untilIndexed(clients.plain, 0);
  }
  return results;
}

/** Cloudflare Workflows in a quick run: once in each scenario for which there is time, the shortest first. */
async function measurePeer(results: readonly Result[]): Promise<void> {
  const inOrder = results.filter(({ scenario }) => scenario.variants.includes("cloudflare")).sort((a, b) => a.scenario.peerMs - b.scenario.peerMs);
  for (const { scenario, samples } of inOrder) {
    if (performance.now() + scenario.peerMs > quickUntilMs.peer) return;
    progress(`${scenario.name}, Cloudflare Workflows`);
    await measureOnce(scenario, "cloudflare", samples.get("cloudflare") ?? []);
  }
}

/** Until when a scenario is measured that has `share` of `sharesLeft`. */
function timeFor(share: number, sharesLeft: number): number {
  if (!options.quick) return Number.POSITIVE_INFINITY;
  const now = performance.now();
  return now + (Math.max(0, quickUntilMs.scenarios - now) * share) / sharesLeft;
}

function roundsOf(scenario: Scenario): number {
  return options.quick ? scenario.rounds.quick : scenario.rounds.full;
}

function rssKiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${local.pid()}/status`, "utf8"))?.[1]);
}

/** CPU time that workerd has used, in ms. */
function cpuMs(): number {
  return Number(readFileSync(`/proc/${local.pid()}/schedstat`, "utf8").split(" ")[0]) / 1e6;
}

function progress(what: string): void {
  if (!options.json) process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${what} …\n`);
}

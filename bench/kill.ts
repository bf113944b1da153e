import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Effect, startSink } from "./effect-sink.ts";
import { createClient } from "./http.ts";
import { createCallers, pause, type TestRun } from "./kill-callers.ts";
import { completedSteps, type Finding, findingsOf, type JournalEntry } from "./kill-checks.ts";
import { killReport, killText, type Recovery } from "./kill-report.ts";
import { type LocalWorker, startLocal } from "./local.ts";
import { seeded } from "./random.ts";

/**
 * `npm run --silent kill-test -- [--kills N] [--runs R] [--seed S] [--json FILE] [--minutes M]`: kills workerd with SIGKILL at random moments while at least 50 runs
 * of 22 steps are under way and new ones, their events and operators' acts keep coming, and then holds every run to its promises. The seed decides when
 * it kills, what is done to which run, and how long the world takes to answer; what the machine makes of that is not repeatable.
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    runs: { type: "string", default: "0" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "string", default: "" },
    minutes: { type: "string", default: "0" },
  },
});
const kills = Number(options.kills);
const runsAtLeast = Number(options.runs);
const random = seeded(Number(options.seed));

const leaseMs = 1_000;
const underWayAtATime = 100;
/** One kill of so many shows how long a recovery takes: before it runs have got going, and after it nothing disturbs them for a while. */
const killsPerMeasure = 15;
const warmUpMs = 1_500;
const quietMs = leaseMs + 2_500;
/** After the last kill, for all runs to end and the index to show it, in ms. */
const settleMs = 90_000;
/** For the load and the kills, in ms: what `--minutes` says, or more than enough, for a run that hangs must not hang the test. A test that is cut short has failed. */
const loadMs = Number(options.minutes) > 0 ? Number(options.minutes) * 60_000 : 60_000 + kills * 8_000 + runsAtLeast * 500;

const killed: { readonly at: number; readonly isMeasured: boolean }[] = [];
const restartMs: number[] = [];
let fewestUnderWay = Number.POSITIVE_INFINITY;
let restarted = Promise.withResolvers<void>();
let steps = 0;

const directory = mkdtempSync(join(tmpdir(), "segno-kill-"));
const sink = await startSink(() => random() * 30, noteEffect);
const local = await startLocal({
  worker: "kill-worker.ts",
  directory,
  objects: { RUNS: "RunObject" },
  variables: { SINK: sink.url },
  stepsPerBatch: 100,
  restarted: () => restarted.resolve(),
});
const client = createClient(local.url);
const callers = createCallers({ client, sinkUrl: sink.url, random, underWayAtATime });
const { runs } = callers;
let findings: Finding[];
try {
  const calling = callers.start();
  await until(() => callers.underWay() >= 50);
  progress("all under way");
  await killAgainAndAgain(local);
  progress("no more kills");
  await until(() => runs.size >= runsAtLeast);
  callers.stop();
  progress("no more starts");
  await Promise.race([calling, pause(settleMs)]);
  callers.leave();
  const indexed = await untilAllEnded();
  progress("all ended");
  findings = await examineAll(indexed);
  progress("all examined");
} finally {
  client.close();
  sink.stop();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}
const report = killReport({
  seed: Number(options.seed),
  killsAsked: kills,
  runsAsked: runsAtLeast,
  leaseMs,
  durationMs: performance.now(),
  kills: killed.length,
  restartMs,
  recoveries: recoveries(),
  fewestUnderWay,
  repeatedRequests: callers.repeats,
  runs: runs.size,
  runsByRole: Object.fromEntries([...Map.groupBy(runs.values(), (run) => run.role)].map(([role, those]) => [role, those.length])),
  steps,
  startsAcked: count((run) => run.isStartAcked),
  eventsAcked: count((run) => run.isEventAcked),
  actsAcked: [...runs.values()].reduce((sum, run) => sum + run.ackedActs.length, 0),
  effects: sink.effects,
  findings,
});
if (options.json !== "") writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(killText(report, findings));
// A caller that still waits for an acknowledgement is left behind.
process.exit(report.isPassed ? 0 : 1);

function count(isSo: (run: TestRun) => boolean): number {
  return [...runs.values()].filter(isSo).length;
}

function noteEffect(effect: Effect): void {
  const run = runs.get(effect.runId);
  if (run && effect.step === "last") run.isNearEnd = true;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo() && performance.now() < loadMs) await pause(10);
}

// The kills.

async function killAgainAndAgain(local: LocalWorker): Promise<void> {
  for (let kill = 1; kill <= kills && performance.now() < loadMs; kill++) {
    const isMeasured = kill % killsPerMeasure === 0 || kill === kills;
    // Most come while the last one is still being recovered from.
    await pause(isMeasured ? warmUpMs : random() * 800);
    await until(() => callers.underWay() >= 50);
    fewestUnderWay = Math.min(fewestUnderWay, callers.underWay());
    await killOnce(local, isMeasured);
    if (!isMeasured) continue;
    await pause(quietMs);
    // The runs keep pace with the kills, so that those come to all of them.
    await until(() => runs.size >= (runsAtLeast * kill) / kills);
    progress(`kill ${kill}`);
  }
}

async function killOnce(local: LocalWorker, isMeasured: boolean): Promise<void> {
  const pid = local.pid();
  if (pid === null) throw new Error("workerd is not running.");
  restarted = Promise.withResolvers();
  const at = performance.now();
  killed.push({ at, isMeasured });
  process.kill(pid, "SIGKILL");
  const tooLate = setTimeout(() => restarted.reject(new Error("workerd did not come back within 30 s.")), 30_000);
  await restarted.promise;
  clearTimeout(tooLate);
  restartMs.push(performance.now() - at);
}

// The end.

type Indexed = ReadonlyMap<string, string>;

/** Only watches the index, which touches no run. */
async function untilAllEnded(): Promise<Indexed> {
  const deadline = performance.now() + settleMs;
  const made = count((run) => run.isStartAcked);
  for (;;) {
    const { body } = await client.get("/index/ended");
    const { ended } = (body as [{ ended: number }])[0];
    if (ended >= made || performance.now() > deadline) break;
    await pause(200);
  }
  const { body } = await client.get("/index");
  return new Map((body as { id: string; status: string }[]).map(({ id, status }) => [id, status]));
}

async function examineAll(indexed: Indexed): Promise<Finding[]> {
  const found: Finding[] = [];
  const waiting = [...runs.values()];
  const examiner = async (): Promise<void> => {
    for (let run = waiting.pop(); run; run = waiting.pop()) found.push(...(await examine(run, indexed.get(run.id) ?? null)));
  };
  await Promise.all(Array.from({ length: 8 }, examiner));
  return found;
}

async function examine(run: TestRun, indexStatus: string | null): Promise<Finding[]> {
  const answer = await client.get(`/v1/runs/${run.id}`);
  const status = answer.status === 404 ? null : ((answer.body as { status: string | number }).status ?? answer.status).toString();
  const journal = status === null ? [] : await journalOf(run.id);
  steps += completedSteps(journal);
  const { isStartAcked, ackedActs, expected } = run;
  return findingsOf({
    runId: run.id,
    status,
    expected,
    indexStatus,
    journal,
    effects: sink.of(run.id),
    isStartAcked,
    ackedEventId: run.isEventAcked ? run.eventId : null,
    ackedActs,
  });
}

async function journalOf(runId: string): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (let cursor: string | null = "0"; cursor !== null; ) {
    const { body } = await client.get(`/v1/runs/${runId}/journal?limit=200&after=${cursor}`);
    const page = body as { entries: JournalEntry[]; nextCursor: string | null };
    entries.push(...page.entries);
    cursor = page.nextCursor;
  }
  return entries;
}

/** For each step that a measured kill cut off: ms until it acted again, the restart included. */
function recoveries(): readonly Recovery[] {
  const windows = killed.flatMap(({ at, isMeasured }, nth) =>
    isMeasured ? [{ since: killed[nth - 1]?.at ?? 0, at, until: killed[nth + 1]?.at ?? Number.POSITIVE_INFINITY }] : [],
  );
  return [...runs.values()].flatMap(({ id }) => {
    const steps = [...Map.groupBy(sink.of(id), (effect) => effect.step).values()];
    return windows.flatMap((window) => steps.flatMap((effects) => recoveryOf(effects, window)));
  });
}

interface Window {
  /** The kill before it. What that cut off has waited since then, and does not count here. */
  readonly since: number;
  readonly at: number;
  /** The next kill. */
  readonly until: number;
}

function recoveryOf(effects: readonly Effect[], { since, at, until }: Window): Recovery[] {
  const nth = effects.findLastIndex((effect) => effect.arrivedAt < at);
  const [cut, again] = [effects[nth], effects[nth + 1]];
  if (!cut || !again || cut.arrivedAt < since) return [];
  return [{ ms: Math.min(again.arrivedAt, until) - at, isFirstLoss: nth === 0 }];
}

function progress(what: string): void {
  process.stderr.write(
    `${(performance.now() / 1000).toFixed(1)} s: ${what}, ${runs.size} runs started, ${callers.underWay()} under way, ${sink.effects.length} effects\n`,
  );
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Effect, type Sink, startSink } from "./effect-sink.ts";
import { type Client, createClient } from "./http.ts";
import { type Finding, findingsOf, type JournalEntry, violations } from "./kill-checks.ts";
import { type LocalWorker, startLocal } from "./local.ts";
import { percentile } from "./statistics.ts";

/**
 * `npm run --silent kill-test -- [--kills N] [--runs R] [--seed S]`: kills workerd with SIGKILL at random moments while at least 50 runs of
 * 20 steps are under way and new ones and their events keep coming, and then holds every run to its promises. The seed decides when it kills and
 * how long the world takes to answer; what the machine makes of that is not repeatable.
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    runs: { type: "string", default: "0" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const kills = Number(options.kills);
const runsAtLeast = Number(options.runs);
const random = seeded(Number(options.seed));

const underWayAtATime = 60;
const stepsPerRun = 20;
/** After the last kill, for all runs to end and the index to show it, in ms. */
const settleMs = 60_000;
/** For the load and the kills, in ms. A run that hangs must not hang the test. */
const loadMs = 60_000 + kills * 8_000 + runsAtLeast * 500;

interface TestRun {
  readonly id: string;
  readonly eventId: string;
  isStartAcked: boolean;
  isEventAcked: boolean;
  /** Its last effect has arrived. */
  isNearEnd: boolean;
}

const runs = new Map<string, TestRun>();
const killedAt: number[] = [];
const restartMs: number[] = [];
const counts = { repeatedRequests: 0, fewestUnderWay: Number.POSITIVE_INFINITY };
let isStarting = true;
/** Nothing is asked for any more, acknowledged or not. */
let isOver = false;
let restarted = Promise.withResolvers<void>();

const directory = mkdtempSync(join(tmpdir(), "segno-kill-"));
const sink = await startSink(() => random() * 30, noteEffect);
const local = await startLocal({
  worker: "kill-worker.ts",
  directory,
  objects: { RUNS: "RunObject" },
  variables: { SINK: sink.url },
  restarted: () => restarted.resolve(),
});
const client = createClient(local.url);
let findings: Finding[];
try {
  const starting = keepStarting(client, sink);
  await until(() => underWay() >= underWayAtATime - 5);
  progress("all under way");
  await killAgainAndAgain(local);
  await until(() => runs.size >= runsAtLeast);
  isStarting = false;
  progress("no more starts");
  await Promise.race([starting, pause(settleMs)]);
  isOver = true;
  const indexed = await untilAllEnded(client);
  progress("all ended");
  findings = await examineAll(client, sink, indexed);
  progress("all examined");
} finally {
  client.close();
  sink.stop();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}
report(findings);
// A caller that still waits for an acknowledgement is left behind.
process.exit(findings.length > 0 || killedAt.length < kills ? 1 : 0);

// The load.

function underWay(): number {
  let count = 0;
  for (const run of runs.values()) if (run.isStartAcked && !run.isNearEnd) count++;
  return count;
}

async function keepStarting(client: Client, sink: Sink): Promise<void> {
  const lives: Promise<void>[] = [];
  let starting = 0;
  while (isStarting) {
    if (underWay() + starting >= underWayAtATime) {
      await pause(5);
      continue;
    }
    const run: TestRun = { id: crypto.randomUUID(), eventId: crypto.randomUUID(), isStartAcked: false, isEventAcked: false, isNearEnd: false };
    runs.set(run.id, run);
    starting++;
    lives.push(
      liveOn(client, sink, run, () => {
        starting--;
      }),
    );
  }
  await Promise.all(lives);
}

/** What a caller does for a run: starts it, and sends its event at some moment, early or late. Each is repeated until it is acknowledged. */
async function liveOn(client: Client, sink: Sink, run: TestRun, started: () => void): Promise<void> {
  await untilAcked(() => client.post("/v1/workflows/mixed/runs", { id: run.id, input: { sink: sink.url } }));
  run.isStartAcked = true;
  started();
  await pause(random() * 1_500);
  await untilAcked(() => client.post(`/v1/runs/${run.id}/events/go`, { id: run.eventId, payload: 1 }));
  run.isEventAcked = true;
}

async function untilAcked(ask: () => Promise<{ readonly status: number; readonly body: unknown }>): Promise<void> {
  while (!isOver) {
    const answer = await ask().catch(() => null);
    if (answer && answer.status < 300) return;
    // Refused for what was asked: no repeat would change that.
    if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 429) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
    counts.repeatedRequests++;
    await pause(20 + random() * 80);
  }
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
  for (let kill = 0; kill < kills; kill++) {
    // Some come while the last one is still being recovered from.
    await pause(random() < 0.25 ? random() * 200 : 1_000 + random() * 3_000);
    await until(() => underWay() >= 50);
    const pid = local.pid();
    if (pid === null) throw new Error("workerd is not running.");
    counts.fewestUnderWay = Math.min(counts.fewestUnderWay, underWay());
    restarted = Promise.withResolvers();
    const at = performance.now();
    killedAt.push(at);
    process.kill(pid, "SIGKILL");
    const tooLate = setTimeout(() => restarted.reject(new Error("workerd did not come back within 30 s.")), 30_000);
    await restarted.promise;
    clearTimeout(tooLate);
    restartMs.push(performance.now() - at);
    progress(`kill ${kill + 1}`);
  }
}

// The end.

type Indexed = ReadonlyMap<string, string>;

/** Only watches the index, which touches no run. */
async function untilAllEnded(client: Client): Promise<Indexed> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const { body } = await client.get("/index");
    const indexed = new Map((body as { id: string; status: string }[]).map(({ id, status }) => [id, status]));
    const isAllEnded = [...runs.keys()].every((id) => indexed.get(id) === "completed");
    if (isAllEnded || performance.now() > deadline) return indexed;
    await pause(200);
  }
}

async function examineAll(client: Client, sink: Sink, indexed: Indexed): Promise<Finding[]> {
  const found: Finding[] = [];
  const waiting = [...runs.values()];
  const examiner = async (): Promise<void> => {
    for (let run = waiting.pop(); run; run = waiting.pop())
      found.push(...(await examine(client, run, { effects: sink.of(run.id), indexStatus: indexed.get(run.id) ?? null })));
  };
  await Promise.all(Array.from({ length: 4 }, examiner));
  return found;
}

async function examine(client: Client, run: TestRun, seen: { readonly effects: readonly Effect[]; readonly indexStatus: string | null }): Promise<Finding[]> {
  const answer = await client.get(`/v1/runs/${run.id}`);
  const status = answer.status === 404 ? null : ((answer.body as { status: string | number }).status ?? answer.status).toString();
  const journal = status === null ? [] : await journalOf(client, run.id);
  return findingsOf({ ...seen, runId: run.id, status, journal, isStartAcked: run.isStartAcked, ackedEventId: run.isEventAcked ? run.eventId : null });
}

async function journalOf(client: Client, runId: string): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (let cursor: string | null = "0"; cursor !== null; ) {
    const { body } = await client.get(`/v1/runs/${runId}/journal?limit=200&after=${cursor}`);
    const page = body as { entries: JournalEntry[]; nextCursor: string | null };
    entries.push(...page.entries);
    cursor = page.nextCursor;
  }
  return entries;
}

/** For each step that a kill cut off: ms from the kill (the last one, if there were more) until it acted again. */
function recoveries(): number[] {
  return sink.effects.flatMap((effect) => {
    const again = sink.of(effect.runId).find((later) => later.step === effect.step && later.arrivedAt > effect.arrivedAt);
    const kill = again && killedAt.findLast((at) => at < again.arrivedAt);
    return again && kill !== undefined && kill > effect.arrivedAt ? [again.arrivedAt - kill] : [];
  });
}

function report(findings: readonly Finding[]): void {
  const ofKind = Object.keys(violations).map((kind) => [kind, findings.filter(({ violation }) => violation === kind).length] as const);
  for (const { violation, runId, detail } of findings.slice(0, 20)) console.log(`${violations[violation]}: run ${runId}: ${detail}`);
  const times = recoveries();
  const ms = (values: readonly number[], share: number): string => (values.length > 0 ? `${percentile(values, share).toFixed(0)} ms` : "none");
  const repeatedEffects = sink.effects.length - new Set(sink.effects.map(({ idempotencyKey }) => idempotencyKey)).size;
  const failed = new Set(findings.map(({ runId }) => runId)).size;
  console.log(
    `seed ${options.seed}: ${killedAt.length} kills, ${runs.size} runs, ${runs.size * stepsPerRun} steps, at least ${counts.fewestUnderWay} runs under way at each kill`,
  );
  console.log(
    `${sink.effects.length} effects, ${repeatedEffects} of them repeats, ${times.length} steps taken up again; ${counts.repeatedRequests} requests repeated until acknowledged`,
  );
  console.log(ofKind.map(([kind, count]) => `${kind} ${count}`).join(", "));
  console.log(`restart p50 ${ms(restartMs, 0.5)}, p99 ${ms(restartMs, 0.99)}; recovery p50 ${ms(times, 0.5)}, p99 ${ms(times, 0.99)}, longest ${ms(times, 1)}`);
  console.log(`${runs.size - failed} passed, ${failed} failed`);
}

function progress(what: string): void {
  process.stderr.write(
    `${(performance.now() / 1000).toFixed(1)} s: ${what}, ${runs.size} runs started, ${underWay()} under way, ${sink.effects.length} effects\n`,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** mulberry32: small, and good enough to choose moments by. From 0 up to 1. */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

import type { RunCounts } from "./counting.ts";
import type { Client } from "./http.ts";
import { median, type Summary, summaryOf } from "./statistics.ts";

/** What runs write, how soon the index shows it, and whether late steps cost more than early ones. */

export interface Costs {
  /** Rows written per further step of a long run, alarms included. */
  readonly rowsPerStep: number;
  /** Rows that a run of 5 steps writes in its object, from its start until the index has it. */
  readonly rowsPerShortRun: number;
  readonly alarmsSetPerShortRun: number;
  readonly alarmsClearedPerShortRun: number;
  /** Summaries that a short run sends to the index. */
  readonly indexWritesPerShortRun: number;
  /** Rows that D1 counts for them, those of its indexes included. */
  readonly indexRowsPerShortRun: number;
  /** From the end of a run until its row in the index, in ms, for all runs so far. */
  readonly indexLag: Summary;
  /** Time per step at the end of a run of 10,000 steps over time per step at its beginning. */
  readonly step10000over10: number;
}

export interface Clients {
  readonly plain: Client;
  /** Its runs are counted. */
  readonly counted: Client;
}

/** `rounds` of the longest measurement, but no further one is begun after `until`, in ms of `performance.now()`. */
export async function measureCosts(clients: Clients, rounds: number, until: number): Promise<Costs> {
  const [short, long] = [await countsOf(clients, 5), await countsOf(clients, 1_005)];
  const indexed = await indexedPerRun(clients.plain);
  const step10000over10 = await lateOverEarly(clients.plain, rounds, until);
  return {
    rowsPerStep: (long.rowsWritten + long.alarmsSet - short.rowsWritten - short.alarmsSet) / 1_000,
    rowsPerShortRun: short.rowsWritten,
    alarmsSetPerShortRun: short.alarmsSet,
    alarmsClearedPerShortRun: short.alarmsCleared,
    indexWritesPerShortRun: indexed.summaries,
    indexRowsPerShortRun: indexed.rows,
    indexLag: summaryOf((await seenSoFar(clients.plain)).lagsMs),
    step10000over10,
  };
}

/** What the object of a run counted, once the index has confirmed it. */
async function countsOf({ plain, counted }: Clients, steps: number): Promise<RunCounts> {
  const before = await seenSoFar(plain);
  const { body } = await counted.post("/v1/workflows/sequential/runs?wait=60s", { input: { steps } });
  await untilIndexed(plain, before.summaries + 1);
  return countsOfRun(plain, (body as { id: string }).id);
}

export async function countsOfRun(client: Client, id: string): Promise<RunCounts> {
  return (await client.get(`/counts/${id}`)).body as RunCounts;
}

const runsForIndex = 20;

async function indexedPerRun(client: Client): Promise<{ readonly summaries: number; readonly rows: number }> {
  const before = await untilIndexed(client, 0);
  for (let i = 0; i < runsForIndex; i++) await client.post("/v1/workflows/sequential/runs?wait=30s", { input: { steps: 5 } });
  const after = await untilIndexed(client, before.summaries + runsForIndex);
  return { summaries: (after.summaries - before.summaries) / runsForIndex, rows: (after.indexRowsWritten - before.indexRowsWritten) / runsForIndex };
}

/** What the queues and the index took since the start of the Worker. */
export interface Seen {
  readonly stepMessages: number;
  readonly summaries: number;
  readonly batches: number;
  readonly indexRowsWritten: number;
  readonly indexRowsRead: number;
  readonly lagsMs: readonly number[];
}

export async function seenSoFar(client: Client): Promise<Seen> {
  return (await client.get("/seen")).body as Seen;
}

/** Waits until the index took that many summaries and no more come: what runs send after their end does not fall into the next measurement. */
export async function untilIndexed(client: Client, summaries: number): Promise<Seen> {
  const patienceMs = 10_000;
  const deadline = performance.now() + patienceMs;
  let last = await seenSoFar(client);
  for (let quiet = 0; quiet < 3 && performance.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = await seenSoFar(client);
    quiet = now.summaries >= summaries && now.summaries === last.summaries ? quiet + 1 : 0;
    last = now;
  }
  return last;
}

const longRun = { steps: 10_000, markEvery: 500 };

/** Compares within one run, the first tenth with the last, so that a noisy machine does not decide. */
async function lateOverEarly(client: Client, rounds: number, until: number): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds && (round === 0 || performance.now() < until); round++) {
    const { body } = await client.post("/v1/workflows/sequential/runs?wait=60s", { input: longRun });
    const { marks } = (body as { output: { marks: number[] } }).output;
    const times = marks.slice(1).map((mark, i) => mark - (marks[i] ?? 0));
    ratios.push(median(times.slice(-4)) / median(times.slice(0, 4)));
  }
  return median(ratios);
}

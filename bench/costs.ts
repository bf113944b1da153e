import type { Client } from "./http.ts";
import { median } from "./statistics.ts";

/** What runs cost in writes, and whether late steps cost more than early ones. */

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
  /** Time per step at the end of a run of 10,000 steps over time per step at its beginning. */
  readonly step10000over10: number;
}

interface Counts {
  readonly rows: number;
  readonly alarmsSet: number;
  readonly alarmsCleared: number;
}

export async function measureCosts(client: Client, rounds: number): Promise<Costs> {
  const [short, long] = [await countsOf(client, 5), await countsOf(client, 1_005)];
  const indexed = await indexedPerRun(client);
  return {
    rowsPerStep: (long.rows + long.alarmsSet - short.rows - short.alarmsSet) / 1_000,
    rowsPerShortRun: short.rows,
    alarmsSetPerShortRun: short.alarmsSet,
    alarmsClearedPerShortRun: short.alarmsCleared,
    indexWritesPerShortRun: indexed.messages,
    indexRowsPerShortRun: indexed.rows,
    step10000over10: await lateOverEarly(client, rounds),
  };
}

/** What the object of a run wrote, once the index has confirmed it. */
async function countsOf(client: Client, steps: number): Promise<Counts> {
  const before = await indexedSoFar(client);
  const { body } = await client.post(`/counted/sequential?steps=${steps}`);
  await untilIndexed(client, before.messages + 1);
  const after = await client.post(`/counted/sequential?id=${(body as { id: string }).id}`);
  return (after.body as { counts: Counts }).counts;
}

const runsForIndex = 20;

async function indexedPerRun(client: Client): Promise<{ readonly messages: number; readonly rows: number }> {
  const before = await indexedSoFar(client);
  for (let i = 0; i < runsForIndex; i++) await client.post("/v1/workflows/sequential/runs?wait=30s", { input: { steps: 5 } });
  const after = await untilIndexed(client, before.messages + runsForIndex);
  return { messages: (after.messages - before.messages) / runsForIndex, rows: (after.rows - before.rows) / runsForIndex };
}

interface Indexed {
  readonly messages: number;
  readonly rows: number;
}

async function indexedSoFar(client: Client): Promise<Indexed> {
  return (await client.get("/indexed")).body as Indexed;
}

/** Waits until the index took that many summaries and no more come: what runs send after their end does not fall into the next measurement. */
export async function untilIndexed(client: Client, messages: number): Promise<Indexed> {
  const patienceMs = 10_000;
  const deadline = performance.now() + patienceMs;
  let last = await indexedSoFar(client);
  for (let quiet = 0; quiet < 3 && performance.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = await indexedSoFar(client);
    quiet = now.messages >= messages && now.messages === last.messages ? quiet + 1 : 0;
    last = now;
  }
  return last;
}

const longRun = { steps: 10_000, markEvery: 500 };

/** Compares within one run, the first tenth with the last, so that a noisy machine does not decide. */
async function lateOverEarly(client: Client, rounds: number): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const { body } = await client.post("/v1/workflows/sequential/runs?wait=60s", { input: longRun });
    const { marks } = (body as { output: { marks: number[] } }).output;
    const times = marks.slice(1).map((mark, i) => mark - (marks[i] ?? 0));
    ratios.push(median(times.slice(-4)) / median(times.slice(0, 4)));
  }
  return median(ratios);
}

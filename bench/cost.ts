import { type Clients, countsOfRun, type Seen, untilIndexed } from "./costs.ts";
import { prices } from "./prices.ts";
import { shown } from "./report.ts";

/** The cost model: what a million runs of a shape cost, from counts that are measured now and the list prices of `prices.ts`. */

interface Shape {
  readonly name: string;
  readonly workflow: string;
  /** The HTTP requests that a run of it takes. */
  readonly requests: number;
  /** Whether a person approves in the middle. */
  readonly isApproved: boolean;
  /** How the others count it: their steps, state transitions and actions. */
  readonly cloudflareSteps: number;
  readonly transitions: number;
  readonly actions: number;
}

const shapes: readonly Shape[] = [
  { name: "5 steps", workflow: "shape-short", requests: 1, isApproved: false, cloudflareSteps: 5, transitions: 5, actions: 6 },
  { name: "20 steps, 2 of them on the queue", workflow: "shape-order", requests: 1, isApproved: false, cloudflareSteps: 20, transitions: 20, actions: 21 },
  {
    name: "onboarding: 8 steps, 3 days of sleep, an approval",
    workflow: "shape-onboarding",
    requests: 2,
    isApproved: true,
    cloudflareSteps: 10,
    transitions: 10,
    actions: 11,
  },
  { name: "100 parallel steps", workflow: "shape-fan-out", requests: 1, isApproved: false, cloudflareSteps: 100, transitions: 101, actions: 101 },
];

const assumptions = [
  "Every count is the mean of measured runs; prices are those beyond what the plans include, without the base fee of USD 5 a month.",
  "What the steps themselves do (CPU, duration while they wait for others, requests they make) is left out, here and for the others.",
  "Duration is that of calls to the run's object on this machine, rounded up by the clock's ms; between them an idle object is not billed.",
  "CPU is all that workerd used, objects included, though only the Worker's part is billed: an upper bound.",
  "A queue message takes three operations, and its delivery counts as a Worker request of its own, though batches need fewer.",
  "The three days of sleep are 50 ms here; the rows that an evicted run reads when it wakes cost less than USD 0.1 a million runs.",
  "Storage, in the last column, is for keeping the journals for one month, and is not in the sums.",
  "The others: their fee for steps, transitions or actions, and for Cloudflare Workflows one request a run and event. No retries anywhere.",
];

interface Lines {
  readonly [what: string]: { readonly perRun: number; readonly usd: number };
}

interface Costed {
  readonly shape: Shape;
  readonly lines: Lines;
  readonly segno: number;
  readonly cloudflare: number;
  readonly stepFunctions: number;
  readonly temporal: number;
  readonly storageMonth: number;
}

const runsOfEach = 20;
const million = 1e6;

export async function costReport(clients: Clients, options: { readonly cpuMs: () => number; readonly isJson: boolean }): Promise<string> {
  for (const shape of shapes) await runOnce(clients, shape);
  const costed: Costed[] = [];
  for (const shape of shapes) costed.push(await costOf(clients, shape, options.cpuMs));
  return options.isJson ? `${JSON.stringify({ runs: million, currency: "USD", shapes: costed.map(costJson), assumptions, prices })}\n` : costText(costed);
}

async function costOf(clients: Clients, shape: Shape, cpuMs: () => number): Promise<Costed> {
  const before = await untilIndexed(clients.plain, 0);
  const cpuBefore = cpuMs();
  const ids: string[] = [];
  for (let i = 0; i < runsOfEach; i++) ids.push(await runOnce(clients, shape));
  const after = await untilIndexed(clients.plain, before.summaries + runsOfEach);
  const cpu = (cpuMs() - cpuBefore) / runsOfEach;
  const counts = await Promise.all(ids.map((id) => countsOfRun(clients.plain, id)));
  const perRun = (of: (count: (typeof counts)[number]) => number): number => counts.reduce((sum, count) => sum + of(count), 0) / runsOfEach;
  const seen = (of: (total: Seen) => number): number => (of(after) - of(before)) / runsOfEach;
  const messages = seen((total) => total.stepMessages + total.summaries);
  const lines = linesOf({
    objectRowsWritten: perRun((count) => count.rowsWritten + count.alarmsSet + count.alarmsCleared),
    objectRowsRead: perRun((count) => count.rowsRead),
    objectRequests: perRun((count) => count.requests),
    objectDuration: (perRun((count) => count.activeMs) / 1000) * 0.128,
    workerRequests: shape.requests + messages,
    workerCpu: cpu,
    queueOperations: messages * 3,
    indexRowsWritten: seen((total) => total.indexRowsWritten),
    indexRowsRead: seen((total) => total.indexRowsRead),
  });
  return {
    shape,
    lines,
    segno: Object.values(lines).reduce((sum, { usd }) => sum + usd, 0),
    cloudflare: million * (shape.cloudflareSteps * prices.cloudflareWorkflowsSteps.usd + shape.requests * prices.workerRequests.usd),
    stepFunctions: million * shape.transitions * prices.stepFunctionsTransitions.usd,
    temporal: million * shape.actions * prices.temporalActions.usd,
    storageMonth: ((million * perRun((count) => count.storedBytes)) / 1e9) * prices.objectStorage.usd,
  };
}

function linesOf(perRun: Readonly<Partial<Record<keyof typeof prices, number>>>): Lines {
  return Object.fromEntries(
    Object.entries(perRun).map(([what, count]) => [what, { perRun: count, usd: million * count * prices[what as keyof typeof prices].usd }]),
  );
}

/** One run of the shape, to its end. */
async function runOnce({ counted }: Clients, shape: Shape): Promise<string> {
  const { id } = (await counted.post(`/v1/workflows/${shape.workflow}/runs${shape.isApproved ? "" : "?wait=60s"}`, { input: null })).body as { id: string };
  if (!shape.isApproved) return id;
  const decide = (): Promise<{ status: number }> => counted.post(`/v1/approvals/${id}/manager/decide`, { actor: "manager", decision: "approved" });
  await new Promise((resolve) => setTimeout(resolve, 80));
  for (let tries = 0; (await decide()).status !== 200; tries++) {
    if (tries > 100) throw new Error(`Run ${id} never asked for its approval.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await counted.get(`/v1/runs/${id}?wait=60s`);
  return id;
}

function costJson({ shape, lines, ...sums }: Costed): Record<string, unknown> {
  return { name: shape.name, ...sums, lines, counted: { steps: shape.cloudflareSteps, transitions: shape.transitions, actions: shape.actions } };
}

function costText(costed: readonly Costed[]): string {
  const head = ["USD for 1 million runs", "Segno", "CF Workflows", "Step Functions", "Temporal Cloud", "storage/month"];
  const rows = costed.map(({ shape, ...sums }) => [
    shape.name,
    ...[sums.segno, sums.cloudflare, sums.stepFunctions, sums.temporal, sums.storageMonth].map(shown),
  ]);
  const table = [head, ...rows].map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(52) : cell.padStart(16))).join(""));
  const details = costed.flatMap(({ shape, lines }) => [
    "",
    `${shape.name}, Segno:`,
    ...Object.entries(lines).map(
      ([what, { perRun, usd }]) =>
        `  ${what.padEnd(20)}${perRun.toPrecision(4).padStart(12)} a run${shown(usd).padStart(10)} USD   (${prices[what as keyof typeof prices].unit})`,
    ),
  ]);
  const sources = Object.values(prices).map(({ usd, unit, source, readOn }) => `  USD ${usd} a ${unit}: ${source} (${readOn})`);
  return `${[...table, ...details, "", "Assumptions:", ...assumptions.map((line) => `  ${line}`), "", "Prices:", ...sources].join("\n")}\n`;
}

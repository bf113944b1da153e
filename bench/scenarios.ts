import type { Client } from "./http.ts";

/** What is measured, each in three forms that do the same for the caller: Segno through its API, and the two bare objects. */

export const variants = ["segno", "floor", "gate"] as const;
export type Variant = (typeof variants)[number];

export interface Scenario {
  readonly name: string;
  /** Key in the JSON output; null: only in the table. */
  readonly key: string | null;
  /** What the numbers are: ms of one run, or runs in a second. */
  readonly unit: "ms" | "runs/s";
  /** Measurements of each variant per round; no round at all leaves the scenario out. */
  readonly repeats: number;
  readonly rounds: { readonly quick: number; readonly full: number };
  measure(client: Client, variant: Variant): Promise<number>;
}

export const scenarios: readonly Scenario[] = [
  ofSteps("sequential", 10, { key: null, repeats: 10, rounds: { quick: 3, full: 9 } }),
  ofSteps("sequential", 100, { key: null, repeats: 5, rounds: { quick: 3, full: 9 } }),
  ofSteps("sequential", 1_000, { key: "sequential1000", repeats: 1, rounds: { quick: 7, full: 15 } }),
  ofSteps("sequential", 10_000, { key: null, repeats: 1, rounds: { quick: 0, full: 5 } }),
  ofSteps("turns", 1_000, { key: null, repeats: 1, rounds: { quick: 0, full: 5 } }),
  ofSteps("fan-out", 200, { key: null, repeats: 3, rounds: { quick: 3, full: 9 } }),
  ofSteps("fan-out", 1_000, { key: "fanout1000", repeats: 1, rounds: { quick: 7, full: 15 } }),
  { name: "short runs of 5, 50 at a time", key: "shortRuns", unit: "runs/s", repeats: 1, rounds: { quick: 3, full: 12 }, measure: shortRuns },
  { name: "event to completion", key: "event", unit: "ms", repeats: 20, rounds: { quick: 2, full: 5 }, measure: eventToCompletion },
];

interface Measured {
  readonly key: string | null;
  readonly repeats: number;
  readonly rounds: Scenario["rounds"];
}

/** One run of many steps, from the request until the answer that it has ended. */
function ofSteps(kind: "sequential" | "turns" | "fan-out", steps: number, measured: Measured): Scenario {
  const what = kind === "turns" ? "sequential, a turn each" : kind;
  return {
    name: `${what} ${steps.toLocaleString("en")}`,
    unit: "ms",
    ...measured,
    measure: (client, variant) => timed(() => runOf(client, { variant, kind, steps })),
  };
}

interface RunRequest {
  readonly variant: Variant;
  readonly kind: string;
  readonly steps: number;
}

async function runOf(client: Client, { variant, kind, steps }: RunRequest): Promise<void> {
  if (variant === "segno") await startAndWait(client, kind, { steps });
  else await client.post(`/bare/${kind}?steps=${steps}&durable=${variant === "floor"}`);
}

async function startAndWait(client: Client, workflow: string, input: unknown): Promise<void> {
  const { status, body } = await client.post(`/v1/workflows/${workflow}/runs?wait=60s`, { input });
  if (status !== 201 || (body as { status: string }).status !== "completed")
    throw new Error(`A run of ${workflow} did not complete: ${status} ${JSON.stringify(body)}`);
}

/** Of one measurement. Small, so that the variants take turns often. */
const shortRunCount = 250;
const shortRunsAtATime = 50;

/** Runs in a second: each is a new object, started and waited for by a request of its own. */
async function shortRuns(client: Client, variant: Variant): Promise<number> {
  let left = shortRunCount;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await runOf(client, { variant, kind: "sequential", steps: 5 });
  };
  const ms = await timed(() => Promise.all(Array.from({ length: shortRunsAtATime }, lane)));
  return shortRunCount / (ms / 1000);
}

/** From sending the event until somebody who waits for the run's end is told of it. */
async function eventToCompletion(client: Client, variant: Variant): Promise<number> {
  const parked = variant === "segno" ? await parkedRun(client) : await parkedObject(client, variant);
  const told = parked.told();
  // The waiter's request must have arrived before the clock starts.
  await new Promise((resolve) => setTimeout(resolve, 25));
  return timed(async () => {
    const sent = parked.send();
    await told;
    await sent;
  });
}

interface Parked {
  told(): Promise<unknown>;
  send(): Promise<unknown>;
}

async function parkedRun(client: Client): Promise<Parked> {
  const { body } = await client.post("/v1/workflows/event/runs", { input: null });
  const { id } = body as { id: string };
  return { told: () => client.get(`/v1/runs/${id}?wait=30s`).then(mustBeCompleted), send: () => client.post(`/v1/runs/${id}/events/go`, { payload: 1 }) };
}

function mustBeCompleted({ body }: { readonly body: unknown }): void {
  if ((body as { status: string }).status !== "completed") throw new Error(`The run did not complete: ${JSON.stringify(body)}`);
}

async function parkedObject(client: Client, variant: Variant): Promise<Parked> {
  const name = crypto.randomUUID();
  const durable = variant === "floor";
  await client.post(`/bare/park?name=${name}&durable=${durable}`);
  return { told: () => client.get(`/bare/finished?name=${name}`), send: () => client.post(`/bare/event?name=${name}&durable=${durable}`) };
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

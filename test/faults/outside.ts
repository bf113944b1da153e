import { env, exports } from "cloudflare:workers";
import { findingsOf, type JournalEntry } from "../../bench/kill-checks.ts";
import { effectsOf } from "./effects.ts";

/** Those outside, who ask the suffering Segno until it answers, and see how runs stand by the index alone: looking there wakes nobody. */

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the answers of an HTTP API, looked into by tests
  readonly body: any;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function askOnce(method: string, path: string, body?: unknown): Promise<Answer> {
  const url = new URL(path, "http://faulty");
  const headers = { authorization: "Bearer segno-dev-key", "content-type": "application/json" };
  const response = await exports.default.fetch(new Request(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }));
  const text = await response.text();
  return { status: response.status, body: response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text };
}

/** Asks until it is done, or refused with a code that only a repeat can get. `notYet`: codes that another moment puts right. */
export async function ask(method: string, path: string, body: unknown, codes: { readonly done?: readonly string[]; readonly notYet?: readonly string[] } = {}) {
  const { done = [], notYet = [] } = codes;
  for (let tries = 0; tries < 1_500; tries++) {
    const answer = await askOnce(method, path, body);
    if (answer.status < 300 || done.includes(answer.body.code)) return answer;
    if (answer.status !== 503 && answer.status !== 429 && !notYet.includes(answer.body.code)) break;
    await pause(25);
  }
  throw new Error(`${method} ${path} is not done: ${JSON.stringify((await askOnce(method, path, body)).body)}`);
}

interface Row {
  readonly id: string;
  readonly status: string;
  readonly reason_code: string | null;
}

let rows: ReadonlyMap<string, Row> = new Map();
let reading: Promise<void> | null = null;

/** The index's rows, read once for all who ask at the same time. */
async function readIndex(): Promise<void> {
  const { results } = await env.INDEX.prepare("SELECT id, status, reason_code FROM runs WHERE namespace = 'default'").all<Row>();
  rows = new Map(results.map((row) => [row.id, row]));
}

export async function indexed(id: string): Promise<Row | null> {
  reading ??= readIndex().finally(() => {
    reading = null;
  });
  await reading;
  return rows.get(id) ?? null;
}

const giveUpMs = 60_000;

/** Waits until the index shows what is looked for. */
export async function untilIndexed(id: string, isIt: (row: Row) => boolean): Promise<Row> {
  for (const from = Date.now(); Date.now() - from < giveUpMs; ) {
    const row = await indexed(id);
    if (row && isIt(row)) return row;
    await pause(40);
  }
  throw new Error(
    `The index shows ${JSON.stringify(rows.get(id))} of run ${id}; effects: ${effectsOf(id).map((effect) => `${effect.step} ${effect.attempt}`)}`,
  );
}

/** Waits until those outside have heard of a step. */
export async function untilHeard(id: string, step: string): Promise<unknown> {
  for (const from = Date.now(); Date.now() - from < giveUpMs; ) {
    const effect = effectsOf(id).find((it) => it.step === step);
    if (effect) return effect.told;
    await pause(20);
  }
  throw new Error(`Nobody has heard of ${step} of run ${id}.`);
}

export const hasEnded = ({ status }: Row): boolean => ["completed", "failed", "cancelled", "terminated"].includes(status);

/** What a run came to, for comparing: how often it was tried is left out. Waits until the index shows the end. */
export async function outcomeOf(id: string) {
  await untilIndexed(id, hasEnded);
  const { body: run } = await askOnce("GET", `/v1/runs/${id}`);
  const { body } = await askOnce("GET", `/v1/runs/${id}/steps?limit=200`);
  const steps = (body.steps as { key: string; kind: string; status: string; outcome: string | null; output: unknown }[])
    .filter(({ kind }) => kind !== "notice")
    .map(({ key, kind, status, outcome, output }) => `${key} ${status} ${outcome} ${kind === "value" ? "" : JSON.stringify(output)}`)
    .sort();
  return { status: run.status, reason: run.reason?.code ?? null, output: run.output, steps };
}

/** What was promised of the run and does not hold. Notices are left out: one that a run's end overtook is told all the same, though no journal takes it any more. */
export async function brokenPromises(id: string): Promise<string[]> {
  const entries: JournalEntry[] = (await askOnce("GET", `/v1/runs/${id}/journal?limit=200`)).body.entries;
  const journal = entries.map((entry) => (isNotice(entry.key) ? { seq: entry.seq, kind: "notice" } : entry));
  const { status } = (await askOnce("GET", `/v1/runs/${id}`)).body;
  const indexStatus = (await indexed(id))?.status ?? null;
  const found = findingsOf({
    runId: id,
    status,
    expected: status,
    indexStatus,
    journal,
    effects: effectsOf(id).filter((effect) => !isNotice(effect.step)),
    isStartAcked: true,
    ackedEventId: null,
    ackedActs: [],
  });
  return found.map(({ violation, detail }) => `${violation}: ${detail}`);
}

function isNotice(key: string | undefined): boolean {
  return key?.startsWith("~notice:") === true;
}

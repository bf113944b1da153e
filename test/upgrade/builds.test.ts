import { afterEach, beforeEach, expect, test } from "vitest";
import { storedVersions } from "./builds.ts";
import { cases, eventually, RunAtHand } from "./cases.ts";
import { Deployments, today } from "./deployment.ts";
import { type Sink, startSink } from "./sink.ts";

/**
 * The code is replaced under runs that are in the middle of something, by real builds on a real workerd: its process is ended, and the other build starts on the
 * storage that it leaves. Every run goes on, each step is done once under one key, the history stays whole, and the index is right in the end.
 */

let segno: Deployments;
let sink: Sink;
let runs: RunAtHand[];

beforeEach(async () => {
  segno = new Deployments();
  sink = await startSink();
  runs = cases.map(({ flow }) => new RunAtHand(flow, segno, sink));
});

afterEach(async () => {
  await segno.remove();
  sink.stop();
});

const bounded = { timeout: 120_000 };
const versions = storedVersions();
const newest = versions.at(-1) ?? today;

test.each(versions.slice(0, -1))("runs of %s go on with today's code", bounded, async (version) => {
  await startOn(version);
  await approachAll(1);
  const seen = await journals();
  await changeTo(today);
  await goOnAll(1);
  await approachAll(2);
  await goOnAll(2);
  await expectAllEnded([seen]);
  await undoEnded();
});

test(`runs of ${newest} go on with today's code, and with ${newest} when that is taken back`, bounded, async () => {
  await startOn(newest);
  await approachAll(1);
  const first = await journals();
  await changeTo(today);
  await goOnAll(1);
  await approachAll(2);
  const second = await journals();
  await changeTo(newest);
  await goOnAll(2);
  await expectAllEnded([first, second]);
  await undoEnded();
});

test("0.1.0 does nothing to runs of a later layout, and they go on when the later code is back", bounded, async () => {
  await startOn("0.1.0");
  await approachAll(1);
  const first = await journals();
  await changeTo(today);
  await goOnAll(1);
  await approachAll(2);
  const second = await journals();
  await segno.stop();
  const stored = segno.everythingStored();
  expect(stored).toHaveLength(cases.length);

  await changeTo("0.1.0");
  sink.open(2);
  // Alarms fire, the sweeper comes, and people ask; to 0.1.0 there are no such runs.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await segno.post("/sweep");
  await Promise.all(cases.map(({ flow }) => expectUnknown(flow)));
  await segno.stop();
  expect(segno.everythingStored()).toEqual(stored);
  expect(sink.heard.filter(({ deployment }) => deployment === sink.deployment)).toEqual([]);

  await changeTo(today);
  // Their alarms are gone. The sweeper brings back what nobody asks for.
  await segno.post("/sweep");
  await Promise.all(["steps", "queued", "large"].map((flow) => runOf(flow).untilHeard("held-2")));
  await goOnAll(2);
  await expectAllEnded([first, second]);
});

// The flows, in all of their runs.

function runOf(flow: string): RunAtHand {
  return runs.find(({ id }) => id === flow) as RunAtHand;
}

async function startOn(version: string): Promise<void> {
  await segno.deploy(version);
  for (const { flow } of cases) expect((await startOf(flow)).status).toBe(201);
}

function startOf(flow: string) {
  const { delay, padding } = cases.find((it) => it.flow === flow)?.start ?? {};
  return segno.post(`/v1/workflows/${flow}/runs`, { id: flow, input: { sink: sink.url, ...(padding && { padding }) }, ...(delay && { delay }) });
}

async function changeTo(version: string): Promise<void> {
  await segno.stop();
  sink.deployed(sink.deployment + 1);
  await segno.deploy(version);
}

async function approachAll(leg: number): Promise<void> {
  await Promise.all(cases.map(({ approach }, nth) => approach?.(runs[nth] as RunAtHand, leg)));
}

async function goOnAll(leg: number): Promise<void> {
  sink.open(leg);
  await Promise.all(cases.map(({ goOn }, nth) => goOn?.(runs[nth] as RunAtHand, leg)));
}

async function expectUnknown(flow: string): Promise<void> {
  expect((await segno.get(`/v1/runs/${flow}`)).body).toMatchObject({ code: "run_not_found" });
  expect((await segno.post(`/v1/runs/${flow}/events/go-2`)).body).toMatchObject({ code: "run_not_found" });
  expect((await startOf(flow)).status).toBe(503);
}

type Journals = readonly (readonly { readonly kind: string; readonly key?: string }[])[];

/** What is recorded at a change. All but one have not ended then. */
async function journals(): Promise<Journals> {
  const all: Journals = await Promise.all(runs.map((run) => run.journal()));
  const ended = cases.filter((_case, nth) => all[nth]?.at(-1)?.kind === "run.ended").map(({ flow }) => flow);
  expect(ended.filter((flow) => flow !== "delayed")).toEqual(["ended"]);
  return all;
}

/** @param before what was recorded at each change. */
async function expectAllEnded(before: readonly Journals[]): Promise<void> {
  for (const [nth, run] of runs.entries()) {
    const { flow, status, output } = cases[nth] as (typeof cases)[number];
    await run.until(status);
    const detail = await run.detail();
    expect([flow, detail.output]).toEqual([flow, output === null ? null : output(run)]);
    expectWholeHistory(
      await run.journal(),
      before.map((journals) => journals[nth] ?? []),
    );
    expectEffects(
      nth,
      before.map((journals) => journals[nth] ?? []),
    );
  }
  await expectIndexed();
}

function expectWholeHistory(journal: readonly { readonly seq: number; readonly kind: string }[], before: Journals): void {
  expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_entry, index) => index + 1));
  expect([journal.at(0)?.kind, journal.at(-1)?.kind]).toEqual(["run.created", "run.ended"]);
  for (const entries of before) expect(journal.slice(0, entries.length)).toEqual(entries);
}

/** Each effect under the one key of its step; again only where a change cut it off, or where the sink refused it. */
function expectEffects(nth: number, before: Journals): void {
  const { flow, effects, inAnyOrder } = cases[nth] as (typeof cases)[number];
  const { heard } = runs[nth] as RunAtHand;
  const firsts = [...new Set(heard.map(({ key }) => key))];
  expect([flow, inAnyOrder ? firsts.sort() : firsts]).toEqual([flow, inAnyOrder ? [...effects].sort() : effects]);
  for (const { key, idempotencyKey } of heard) expect(idempotencyKey).toBe(`default/${flow}/${encodeURIComponent(key)}`);
  for (const key of firsts.filter((it) => !it.startsWith("flaky"))) {
    const deployments = heard.filter((it) => it.key === key).map(({ deployment }) => deployment);
    expect(deployments, `${flow}: ${key} is done twice by one process`).toEqual([...new Set(deployments)]);
  }
  for (const [change, entries] of before.entries()) {
    const completed = new Set(entries.flatMap(({ kind, key }) => (kind === "step.completed" && key !== undefined ? [key] : [])));
    const again = heard.filter(({ key, deployment }) => deployment > change && completed.has(key));
    expect(again, `${flow}: done again though it was completed`).toEqual([]);
  }
}

async function expectIndexed(): Promise<void> {
  const wanted = JSON.stringify(Object.fromEntries(cases.map(({ flow, status }) => [flow, status]).sort()));
  await eventually(
    "the index",
    async () => {
      const { body } = (await segno.get("/v1/runs?limit=100")) as { body: { runs: { id: string; status: string }[] } };
      return JSON.stringify(Object.fromEntries(body.runs.map(({ id, status }) => [id, status]).sort()));
    },
    wanted,
  );
}

/** A run that ended with the earlier code is undone by today's, and told what its steps had returned. */
async function undoEnded(): Promise<void> {
  const undo = new RunAtHand("ended.rollback", segno, sink);
  await runOf("ended").post("/rollback");
  await undo.until("completed");
  expect(undo.heard).toMatchObject(["b", "a"].map((key) => ({ key: `~${key}`, detail: key, idempotencyKey: `default/${undo.id}/~${key}` })));
}

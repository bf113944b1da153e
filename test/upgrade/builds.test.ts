import { afterEach, beforeEach, expect, test } from "vitest";
import { compareVersions, storedVersions } from "./builds.ts";
import { type Case, cases, eventually, RunAtHand } from "./cases.ts";
import { Deployments, today } from "./deployment.ts";
import { type Sink, startSink } from "./sink.ts";

/**
 * The code is replaced under runs that are in the middle of something, by real builds on a real workerd: its process is ended, and the other build starts on the
 * storage that it leaves. Every run goes on, each step is done once under one key, the history stays whole, and the index is right in the end.
 */

let segno: Deployments;
let sink: Sink;
let subjects: readonly Subject[];

interface Subject {
  readonly it: Case;
  readonly run: RunAtHand;
}

beforeEach(async () => {
  sink = await startSink();
  segno = new Deployments(sink.url);
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
  await repeatEnded();
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
  await repeatEnded();
});

test.each(versions)("while a deployment spreads, %s and today's code work on one run together", bounded, async (version) => {
  await startOn(version, version);
  await approachAll(1);
  const first = await journals();
  await changeTo(today, version);
  await goOnAll(1);
  await approachAll(2);
  const second = await journals();
  await changeTo(version, today);
  await goOnAll(2);
  await expectAllEnded([first, second]);
  await repeatEnded();
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
  expect(stored).toHaveLength(subjects.length);

  await changeTo("0.1.0");
  sink.open(2);
  // Alarms fire, the sweeper comes, and people ask; to 0.1.0 there are no such runs.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await segno.post("/sweep");
  await Promise.all(subjects.map(expectUnknown));
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

/** A run of each flow that the version has. */
async function startOn(version: string, objects?: string): Promise<void> {
  await segno.deploy(version, objects);
  const known = cases.filter(({ since }) => since === undefined || compareVersions(version, since) >= 0);
  subjects = known.map((it) => ({ it, run: new RunAtHand(it.id ?? it.flow, segno, sink) }));
  for (const subject of subjects) expect((await startOf(subject)).status).toBe(201);
}

function startOf({ it, run }: Subject) {
  return segno.post(`/v1/workflows/${it.flow}/runs`, { id: run.id, ...it.start });
}

function runOf(flow: string): RunAtHand {
  return subjects.find(({ it }) => it.flow === flow)?.run as RunAtHand;
}

async function changeTo(version: string, objects?: string): Promise<void> {
  await segno.stop();
  sink.deployed(sink.deployment + 1);
  await segno.deploy(version, objects);
}

async function approachAll(leg: number): Promise<void> {
  const approach = (those: readonly Subject[]) => Promise.all(those.map(({ it, run }) => it.approach?.(run, leg)));
  await approach(subjects.filter(({ it }) => !it.holdsQueue));
  await approach(subjects.filter(({ it }) => it.holdsQueue));
}

async function goOnAll(leg: number): Promise<void> {
  sink.open(leg);
  await Promise.all(subjects.map(({ it, run }) => it.goOn?.(run, leg)));
}

async function expectUnknown(subject: Subject): Promise<void> {
  const { id } = subject.run;
  expect((await segno.get(`/v1/runs/${id}`)).body).toMatchObject({ code: "run_not_found" });
  expect((await segno.post(`/v1/runs/${id}/events/go-2`)).body).toMatchObject({ code: "run_not_found" });
  expect((await startOf(subject)).status).toBe(503);
}

type Journal = readonly { readonly seq: number; readonly kind: string; readonly key?: string }[];
type Journals = ReadonlyMap<Subject, Journal>;

/** What is recorded at a change. All but one have not ended then. */
async function journals(): Promise<Journals> {
  const all = await Promise.all(subjects.map(async (subject): Promise<[Subject, Journal]> => [subject, await subject.run.journal()]));
  const ended = all.flatMap(([{ it }, journal]) => (journal.at(-1)?.kind === "run.ended" ? [it.flow] : []));
  expect(ended.filter((flow) => flow !== "delayed")).toEqual(["ended"]);
  return new Map(all);
}

/** @param changes what was recorded at each. */
async function expectAllEnded(changes: readonly Journals[]): Promise<void> {
  for (const subject of subjects) {
    const { it, run } = subject;
    const before = changes.map((journals) => journals.get(subject) ?? []);
    await run.until(it.status);
    expect([it.flow, (await run.detail()).output]).toEqual([it.flow, it.output === null ? null : it.output(run)]);
    expectWholeHistory(await run.journal(), before);
    expectEffects(subject, before);
  }
  await expectIndexed();
}

function expectWholeHistory(journal: Journal, before: readonly Journal[]): void {
  expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_entry, index) => index + 1));
  expect([journal.at(0)?.kind, journal.at(-1)?.kind]).toEqual(["run.created", "run.ended"]);
  for (const entries of before) expect(journal.slice(0, entries.length)).toEqual(entries);
}

/** Each effect under the one key of its step; again only where a change cut it off, or where the sink refused it. */
function expectEffects({ it: { flow, effects, inAnyOrder }, run: { id, heard } }: Subject, before: readonly Journal[]): void {
  const keys = [...new Set(heard.map(({ key }) => key))];
  const names = keys.map(nameOf);
  expect([flow, inAnyOrder ? names.sort() : names]).toEqual([flow, inAnyOrder ? [...effects].sort() : effects]);
  for (const { key, idempotencyKey } of heard) expect(idempotencyKey).toBe(`default/${id}/${encodeURIComponent(key)}`);
  for (const key of keys.filter((each) => !each.startsWith("flaky"))) {
    const deployments = heard.filter((effect) => effect.key === key).map(({ deployment }) => deployment);
    expect(deployments, `${flow}: ${key} is done twice by one process`).toEqual([...new Set(deployments)]);
  }
  for (const [change, entries] of before.entries()) {
    const completed = new Set(entries.flatMap(({ kind, key }) => (kind === "step.completed" && key !== undefined ? [key] : [])));
    const again = heard.filter(({ key, deployment }) => deployment > change && completed.has(key));
    expect(again, `${flow}: done again though it was completed`).toEqual([]);
  }
}

/** A hold is told of under its place in the journal, which is any. */
function nameOf(key: string): string {
  return key.replace(/^(~notice:paused):\d+$/, "$1");
}

async function expectIndexed(): Promise<void> {
  const wanted = JSON.stringify(Object.fromEntries(subjects.map(({ it, run }) => [run.id, it.status]).sort()));
  await eventually(
    "the index",
    async () => {
      const { body } = (await segno.get("/v1/runs?limit=100")) as { body: { runs: { id: string; status: string }[] } };
      return JSON.stringify(Object.fromEntries(body.runs.map(({ id, status }) => [id, status]).sort()));
    },
    wanted,
  );
}

/** A run that ended with the earlier code is undone, and begun anew from its second step, by today's. */
async function repeatEnded(): Promise<void> {
  await runOf("ended").post("/rollback", { id: "undo" });
  await runOf("ended").post("/fork", { id: "fork", from: "b" });
  const [undo, fork] = ["undo", "fork"].map((id) => new RunAtHand(id, segno, sink)) as [RunAtHand, RunAtHand];
  await undo.until("completed");
  await fork.until("completed");
  expect((await fork.detail()).output).toEqual(["a", "b"]);
  const heard = (run: RunAtHand) => run.heard.map(({ key, detail, idempotencyKey }) => [key, detail, idempotencyKey]);
  expect(heard(undo)).toEqual([
    ["~b", "b", "default/undo/~b"],
    ["~a", "a", "default/undo/~a"],
  ]);
  expect(heard(fork)).toEqual([["b", null, "default/fork/b"]]);
}

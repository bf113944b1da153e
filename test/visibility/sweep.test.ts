import { beforeAll, expect, test } from "vitest";
import { isFinal, runStatuses } from "#core/run.ts";
import { projectSummaries } from "#visibility/project.ts";
import { countByVersion, overdueRuns, staleRuns } from "#visibility/sweep.ts";
import { newNamespace, openIndex, runSummary } from "./index-db.ts";

// The sweeper looks over all namespaces, so each test clears the table; no other file uses runs as old as these.
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = 1_000_000 * minute;

let db: D1Database;
beforeAll(async () => {
  db = await openIndex();
});

async function emptyIndex(): Promise<string> {
  await db.prepare("DELETE FROM runs WHERE updated_at <= ?").bind(now).run();
  return newNamespace();
}

test("a run is overdue when it is not final and its wake is more than two minutes late", async () => {
  const namespace = await emptyIndex();
  await projectSummaries(db, [
    ...runStatuses.map((status, place) =>
      runSummary({ namespace, id: status, status, updatedAt: 0, nextWakeAt: now - 10 * minute - place, endedAt: isFinal(status) ? 1 : null }),
    ),
    runSummary({ namespace, id: "just-in-time", updatedAt: 0, nextWakeAt: now - 2 * minute }),
    runSummary({ namespace, id: "later", updatedAt: 0, nextWakeAt: now + 1 }),
    runSummary({ namespace, id: "never", updatedAt: 0, nextWakeAt: null }),
  ]);

  const open = runStatuses.filter((status) => !isFinal(status));
  expect(await overdueRuns(db, now, 100)).toEqual(open.toReversed().map((id) => ({ namespace, id })));
  expect(await overdueRuns(db, now, 2)).toEqual([
    { namespace, id: "compensating" },
    { namespace, id: "blocked" },
  ]);
});

test("runs that were woken in vain for a day do not keep the others from their turn", async () => {
  const namespace = await emptyIndex();
  await projectSummaries(db, [
    ...Array.from({ length: 20 }, (_, place) => runSummary({ namespace, id: `lost-${place}`, updatedAt: 0, nextWakeAt: now - 2 * day })),
    runSummary({ namespace, id: "fresh", updatedAt: 0, nextWakeAt: now - hour }),
  ]);

  const swept = new Set<string>();
  for (let sweep = 0; sweep < 200; sweep++) {
    const [first, ...others] = await overdueRuns(db, now, 3);
    expect(first).toEqual({ namespace, id: "fresh" });
    for (const run of others) swept.add(run.id);
  }

  expect(swept.size).toBe(20);
});

test("a woken run that sends its newer summary leaves the overdue", async () => {
  const namespace = await emptyIndex();
  await projectSummaries(db, [runSummary({ namespace, id: "run", updatedAt: 0, nextWakeAt: now - hour })]);
  expect(await overdueRuns(db, now, 10)).toHaveLength(1);

  await projectSummaries(db, [runSummary({ namespace, id: "run", updatedAt: now, nextWakeAt: now + hour, seq: 2 })]);

  expect(await overdueRuns(db, now, 10)).toEqual([]);
});

test("a run without a wake time is looked at every ten minutes in its first hour, then hourly, then daily, without a write", async () => {
  const namespace = await emptyIndex();
  const changedAt = now - 12_345;
  await projectSummaries(db, [
    runSummary({ namespace, id: "waits", updatedAt: changedAt }),
    runSummary({ namespace, id: "sleeps", updatedAt: changedAt, nextWakeAt: now + day }),
    runSummary({ namespace, id: "ended", updatedAt: changedAt, status: "cancelled", endedAt: changedAt }),
  ]);
  const turns: number[] = [];
  for (let at = now; at < now + 3 * day; at += minute) {
    const found = await staleRuns(db, at, 10);
    if (found.length === 0) continue;
    expect(found).toEqual([{ namespace, id: "waits" }]);
    turns.push((at - now) / minute);
  }

  const firstHour = turns.filter((turn) => turn < 59);
  const firstDay = turns.filter((turn) => turn >= 60 && turn < 24 * 60 - 1);
  const later = turns.filter((turn) => turn >= 24 * 60);
  expect(firstHour.length).toBeGreaterThanOrEqual(4);
  expect(firstHour[0]).toBeGreaterThanOrEqual(9);
  expect(firstDay).toHaveLength(23);
  expect(later).toHaveLength(2);
  for (const [place, turn] of later.slice(1).entries()) expect(turn - (later[place] ?? 0)).toBe(24 * 60);
}, 60_000);

test("many stale runs are spread over the minutes, each gets its turn, and a sweep never exceeds its limit", async () => {
  const namespace = await emptyIndex();
  await projectSummaries(
    db,
    Array.from({ length: 1000 }, (_, place) => runSummary({ namespace, id: `run-${place}`, updatedAt: now - 11 * minute - place * 37 })),
  );

  const seen = new Map<string, number>();
  for (let turn = 0; turn < 10; turn++) {
    const found = await staleRuns(db, now + turn * minute, 150);
    expect(found.length).toBeGreaterThan(50);
    for (const run of found) seen.set(run.id, (seen.get(run.id) ?? 0) + 1);
  }

  expect(seen.size).toBe(1000);
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
  expect(await staleRuns(db, now, 7)).toHaveLength(7);
});

test("the drain view counts what has not ended, by version and status, of one workflow in one namespace", async () => {
  const namespace = newNamespace();
  const run = (id: string, changes: Partial<Parameters<typeof runSummary>[0]>) => runSummary({ namespace, id, ...changes });
  await projectSummaries(db, [
    ...runStatuses.map((status) => run(`v1-${status}`, { status, endedAt: isFinal(status) ? 1 : null })),
    run("v1-another", {}),
    run("v2-blocked", { version: "2", status: "blocked" }),
    run("billing", { workflow: "billing" }),
    run("elsewhere", { namespace: newNamespace() }),
  ]);

  expect(await countByVersion(db, namespace, "onboarding")).toEqual([
    { version: "1", status: "blocked", runs: 1 },
    { version: "1", status: "compensating", runs: 1 },
    { version: "1", status: "paused", runs: 1 },
    { version: "1", status: "queued", runs: 1 },
    { version: "1", status: "running", runs: 1 },
    { version: "1", status: "waiting", runs: 2 },
    { version: "2", status: "blocked", runs: 1 },
  ]);
  expect(await countByVersion(db, namespace, "unknown")).toEqual([]);
});

import { describe, expect, test } from "vitest";
import type { Entry, Recorded } from "#core/entry.ts";
import { RunSummary } from "#core/run.ts";
import { decode } from "#core/value.ts";
import { runAudit } from "#engine/run-audit.ts";
import { runDetail, runJournal, runSteps } from "#engine/run-history.ts";
import type { World } from "../engine/world.ts";
import { storedVersions } from "../upgrade/builds.ts";
import { type Feature, play, worldOf } from "./feature.ts";
import { features } from "./features.ts";
import { type History, takeUp, withoutPlaces } from "./history.ts";
import { storedHistories, version } from "./stored.ts";

/**
 * Runs that an earlier version began go on with today's code. Every stored history is read, replayed, and cut off after each of its commits and gone on with. An entry
 * that has gained a field since is stored without it, so a field that has no default for old journals shows here.
 */

const histories = storedHistories();
const entriesOf = (history: History): readonly Recorded[] => history.commits.flat();

test("every feature has a history, and every history its code", () => {
  expect([...new Set(histories.map((history) => history.feature))].sort()).toEqual(features.map((feature) => feature.name).sort());
});

test("this version has histories and a build, as test/upgrade/README.md says", () => {
  expect([histories.some((history) => history.version === version), storedVersions().includes(version)]).toEqual([true, true]);
});

test("a history names no file of a machine", () => {
  const home = new URL("file:///somewhere/segno/");
  const stack = (place: string) => [[{ kind: "attempt.failed", value: `at it (${place}:1:2)` } as unknown as Recorded]];
  expect(withoutPlaces(stack("file:///somewhere/segno/src/a.ts"), home)).toEqual(stack("segno/src/a.ts"));
  expect(withoutPlaces(stack("file:///elsewhere/node_modules/zod/index.js"), home)).toEqual(stack("segno/node_modules/zod/index.js"));
  expect(() => withoutPlaces(stack("file:///elsewhere/a.ts"), home)).toThrow("outside");
  expect(histories.filter((history) => JSON.stringify(history).includes("file:"))).toEqual([]);
});

describe.each(histories)("$feature, recorded by $version", (history) => {
  const feature = features.find((it) => it.name === history.feature) as Feature;

  test("is read as it was, and as an ended run gets no new entry", async () => {
    const world = worldOf(feature);
    takeUp(world, entriesOf(history));
    for (let touches = 0; touches < 2; touches++) {
      world.run.engine.poke();
      await world.rest();
    }
    expect(world.entries).toEqual(entriesOf(history));
    expect(world.effects).toEqual([]);
    everythingIsKnown(world);
  });

  test("is replayed to the same end, and nothing is done for it", async () => {
    const world = worldOf(feature);
    const recorded = entriesOf(history);
    if (wasEndedFromOutside(recorded)) return;
    takeUp(world, recorded.slice(0, -1));
    await play(world, feature, false);
    expect(world.entries.map((entry) => ({ ...entry, at: 0 }))).toEqual(recorded.map((entry) => ({ ...entry, at: 0 })));
    expect(world.effects).toEqual([]);
  });

  test("goes on from every commit, and comes to the same end", async () => {
    const whole = worldOf(feature);
    takeUp(whole, entriesOf(history));
    const expected = outcome(whole);
    for (let cut = 1; cut < history.commits.length; cut++) {
      const taken = history.commits.slice(0, cut).flat();
      const world = worldOf(feature);
      takeUp(world, taken);
      await play(world, feature, false);
      const title = `cut off after entry ${taken.length} (${taken.at(-1)?.kind})`;
      expect(world.entries.slice(0, taken.length), title).toEqual(taken);
      expect(codeTrouble(world.entries), title).toEqual(codeTrouble(taken));
      expect(outcome(world), title).toEqual(expected);
      expectKnownEffects(world, history, taken);
      everythingIsKnown(world);
    }
  });
});

/** An operator ended it, or time did, and no replay brings that about. */
function wasEndedFromOutside(recorded: readonly Recorded[]): boolean {
  return recorded.some((entry) => entry.kind === "run.ended" && (entry.status === "terminated" || entry.reason === "run_timeout"));
}

/** What a run came to. How often it had to be tried, when, and what chance gave is left out. */
function outcome(world: World) {
  const { state, summary } = world.run.engine;
  const { steps } = history(world);
  const notices = [...state.steps.values()].filter((step) => step.kind === "notice").map((step) => step.key.replace(/:\d+$/, ""));
  return {
    status: summary.status,
    reason: summary.reason,
    error: summary.error,
    origin: summary.origin,
    value: state.ended?.value === null && !state.ended.valueOmitted ? null : plainValue(world.run.journal.value(state.lastSeq)),
    steps: Object.fromEntries(
      steps
        .filter((step) => step.kind !== "notice")
        .map(({ key, kind, status, outcome: how, output, error, approval }) => {
          const decisions = approval?.decisions.map((it) => [it.actor, it.decision, it.comment, it.form]) ?? null;
          return [
            key,
            { kind, status, how, result: kind === "value" ? "any" : plainValue(output ?? error), decisions, escalated: approval?.escalated ?? null },
          ];
        }),
    ),
    notices: [...new Set(notices)].sort(),
  };
}

function plainValue(encoded: string | null): unknown {
  const value = encoded === null ? null : decode(encoded);
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}

function history(world: World) {
  const { historySource, run } = world;
  return {
    detail: runDetail(historySource, () => run.engine.summary),
    steps: runSteps(historySource, 0, 1000).items,
    journal: runJournal(historySource, 0, 1000).items,
    audit: runAudit(historySource, 0, 1000).items,
  };
}

/** No part of what the engine makes of the journal, or shows of it, is undefined or no number. */
function everythingIsKnown(world: World): void {
  RunSummary.parse(world.run.engine.summary);
  expect([...unknownParts(world.run.engine.state, "state"), ...unknownParts(history(world), "history")]).toEqual([]);
}

function unknownParts(part: unknown, path: string): string[] {
  if (part === undefined || Number.isNaN(part)) return [path];
  if (typeof part !== "object" || part === null) return [];
  const parts = part instanceof Map ? [...part] : part instanceof Set ? [...part].map((it) => [it, it]) : Object.entries(part);
  return parts.flatMap(([name, it]) => unknownParts(it, `${path}.${String(name)}`));
}

/** A remote that heard of a step from the old version knows it again by its key; and what was completed is not done again. */
function expectKnownEffects(world: World, { idempotencyKeys }: History, taken: readonly Recorded[]): void {
  const completed = new Set(taken.flatMap((entry) => (entry.kind === "step.completed" ? [entry.key] : [])));
  for (const { key, idempotencyKey } of world.effects) {
    if (key.startsWith("~told:")) continue;
    expect(idempotencyKey).toBe(idempotencyKeys[key]);
    expect(completed.has(key), `${key} was completed before`).toBe(false);
  }
}

/** Why the run was blocked for the sake of its code: today's engine and that code fit the old journal. */
function codeTrouble(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry) => (entry.kind === "run.blocked" && entry.reason !== "crash_loop" ? [entry.message] : []));
}

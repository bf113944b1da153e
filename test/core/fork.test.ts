import { describe, expect, test } from "vitest";
import type { Entry, RunCreated } from "#core/entry.ts";
import { checkSameOrigin, entriesForFork, entriesForRollback, type ForkPlan, forkPlan } from "#core/fork.ts";
import { applyEntry, emptyRunState, type RunState } from "#core/run-state.ts";
import {
  acted,
  approval,
  approvalDecided,
  attempt,
  blocked,
  cancel,
  claimed,
  created,
  ended,
  eventWait,
  failed,
  notice,
  parked,
  paused,
  received,
  recorded,
  resumed,
  rollback,
  runEnded,
  sleep,
  started,
  stateOf,
  stepFailed,
  stepOf,
  undo,
} from "./journal.ts";

const code = (value: string) => expect.objectContaining({ code: value });
const done = (key: string, more = {}): Entry[] => [started(key, more), ended(key)];
const planOf = (entries: readonly Entry[], from: string): ForkPlan => forkPlan(stateOf(created(), ...entries), from);

describe("a fork keeps what was recorded before the step that it begins with", () => {
  test.each<[string, Entry[], string, ForkPlan]>([
    ["and repeats that step and what came after", [...done("a"), ...done("b"), ...done("c")], "b", { kept: ["a"], repeated: ["b", "c"], unsafe: [] }],
    ["nothing, from the first step", [...done("a"), ...done("b")], "a", { kept: [], repeated: ["a", "b"], unsafe: [] }],
    ["failures that the code went on from, too", [started("a"), stepFailed("a"), ...done("b")], "b", { kept: ["a"], repeated: ["b"], unsafe: [] }],
    [
      "sleeps, events, values and approvals, too",
      [
        sleep("nap", 9),
        ended("nap", { value: null }),
        received("e"),
        eventWait("event"),
        ended("event", { eventSeq: 4, value: null, outcome: "arrived" }),
        ended("uuid", { instant: { name: "uuid", count: 1, step: "value", automation: null } }),
        approval("ok"),
        approvalDecided("ok", "ann"),
        ended("ok", { outcome: "approved", value: null }),
        ...done("b"),
      ],
      "b",
      { kept: ["nap", "event", "uuid", "ok"], repeated: ["b"], unsafe: [] },
    ],
    [
      "and repeats a parallel step that was still open then, though it ended later",
      [started("slow"), started("quick"), ended("quick"), started("b"), ended("slow"), ended("b")],
      "b",
      { kept: ["quick"], repeated: ["slow", "b"], unsafe: [] },
    ],
    [
      "and repeats a parallel step that began later, though it ended first",
      [started("b"), started("c"), ended("c"), ended("b")],
      "b",
      { kept: [], repeated: ["b", "c"], unsafe: [] },
    ],
    ["and repeats what never ended", [started("a"), parked("a"), ...done("b")], "b", { kept: [], repeated: ["a", "b"], unsafe: [] }],
    ["and repeats what the run's end cut off", [...done("a"), started("b"), runEnded("terminated")], "b", { kept: ["a"], repeated: ["b"], unsafe: [] }],
    ["and repeats what a cancel cut off", [started("a"), ...done("b"), cancel, ...done("clean")], "b", { kept: [], repeated: ["a", "b", "clean"], unsafe: [] }],
    [
      "and says which effects of those repeated must not happen twice unsaid: those that had begun",
      [
        ...done("kept", { unsafeToRepeat: true }),
        ...done("pay", { unsafeToRepeat: true }),
        ...done("mail"),
        started("refund", { unsafeToRepeat: true }),
        failed("refund", 1),
      ],
      "pay",
      { kept: ["kept"], repeated: ["pay", "mail", "refund"], unsafe: ["pay", "refund"] },
    ],
    [
      "and leaves out what undid something",
      [...done("a", { compensates: true }), ...done("b"), rollback("a"), undo("a")],
      "b",
      { kept: ["a"], repeated: ["b"], unsafe: [] },
    ],
    [
      "and leaves out what told people of the run: a new run has its own to tell",
      [...done("a"), notice("~notice:late"), ended("~notice:late"), ...done("b"), notice("~notice:paused:9"), ended("~notice:paused:9")],
      "b",
      { kept: ["a"], repeated: ["b"], unsafe: [] },
    ],
  ])("%s", (_title, entries, from, plan) => {
    expect(planOf(entries, from)).toEqual(plan);
  });

  test("but not from a step that is not there, or that is none of the workflow's going on", () => {
    expect(() => planOf(done("a"), "z")).toThrow(code("step_not_found"));
    expect(() => planOf([...done("a"), cancel, ...done("clean")], "clean")).toThrow(code("step_state"));
    expect(() => planOf([...done("a", { compensates: true }), rollback("a"), undo("a")], "~a")).toThrow(code("step_state"));
    expect(() => planOf([...done("a"), notice("~notice:late")], "~notice:late")).toThrow(code("step_state"));
  });
});

/** A journal as its loader gives it: every value left out, to be read by its entry's number. */
function lightJournal(entries: readonly Entry[]) {
  const whole = entries.map((entry, index) => recorded(entry, index + 1));
  const readValue = (seq: number): string => {
    const entry = whole[seq - 1];
    if (!entry || !("value" in entry) || entry.value === null) throw new Error(`Entry ${seq} has no value.`);
    return entry.value;
  };
  const light = whole.map((entry) =>
    "value" in entry && entry.value !== null ? ({ ...entry, value: null, valueOmitted: true } as unknown as typeof entry) : entry,
  );
  return { light, readValue };
}

function foldOf(first: RunCreated, entries: readonly Entry[]): RunState {
  const state = emptyRunState();
  for (const entry of [first, ...entries]) applyEntry(state, recorded(entry, state.lastSeq + 1));
  return state;
}

/** Everything that can have happened to a step before it ended. */
const eventful: readonly Entry[] = [
  created(),
  started("a", { dispatch: "queue", value: "[1]" }),
  claimed("a"),
  received("e1"),
  received("e2"),
  failed("a", 1, { lost: true }),
  attempt("a", 2),
  eventWait("event"),
  ended("event", { eventSeq: 5, value: null, outcome: "arrived" }),
  blocked,
  { kind: "run.unblocked", at: 31 },
  parked("a", 2),
  started("b", { onFailure: "pause" }),
  parked("b"),
  acted("retry", ["a"], { value: "[9]" }),
  paused(32),
  acted("resume", ["b"], { at: 40 }),
  resumed(40),
  attempt("a", 3),
  ended("a", { attempt: 3, value: "[3]" }),
  attempt("b", 2),
  approval("ok", { quorum: 2 }),
  approvalDecided("ok", "ann"),
  { kind: "approval.escalated", at: 41, key: "ok", assignees: ["cleo"] },
  approvalDecided("ok", "bob"),
  ended("ok", { outcome: "approved", value: null }),
  ended("b", { attempt: 2, value: "[2]" }),
  started("c", { value: "[5]" }),
  ended("c", { value: "[6]" }),
];

describe("what a fork takes over", () => {
  const { light, readValue } = lightJournal(eventful);
  const entries = entriesForFork(light, planOf(eventful.slice(1), "c"), { runId: "r", readValue });
  const state = foldOf(created({ at: 100, startAt: 100, origin: { runId: "r", relation: "fork", step: "c" } }), entries);

  test("folds into a state in which every kept step has its result, and nothing is open", () => {
    expect([...state.steps.keys()]).toEqual(["a", "event", "b", "ok"]);
    expect([...state.steps.values()].map((step) => step.status)).toEqual(["completed", "completed", "completed", "completed"]);
    expect([state.open.size, state.paused, state.blocked, state.started]).toEqual([0, null, null, true]);
    expect(stepOf(state, "ok")).toMatchObject({ escalated: true, outcome: "approved", decisions: [{ actor: "ann" }, { actor: "bob" }] });
  });

  test("holds every value, also those that were not loaded with the journal", () => {
    const recordedValue = (seq: number | null) => {
      const entry = entries[(seq ?? 0) - 2];
      return entry && "value" in entry ? entry.value : undefined;
    };
    expect(recordedValue(stepOf(state, "a").resultSeq)).toBe("[3]");
    expect(recordedValue(stepOf(state, "a").inputSeq)).toBe("[9]");
    expect(recordedValue(stepOf(state, "b").resultSeq)).toBe("[2]");
    expect(entries.some((entry) => "valueOmitted" in entry || "seq" in entry)).toBe(false);
  });

  test("has the payload of an event with the wait that took it; events that nothing took stay behind", () => {
    expect(entries.filter((entry) => entry.kind === "event.received")).toEqual([]);
    expect(entries.find((entry) => entry.kind === "step.completed" && entry.key === "event")).toMatchObject({
      value: "[7]",
      eventSeq: null,
      outcome: "arrived",
    });
  });

  test("says whose idempotency key the attempts sent, also when a fork is forked again", () => {
    expect(stepOf(state, "a").keyRunId).toBe("r");
    const again = lightJournal([created(), ...entries, ...done("c")]);
    const twice = foldOf(created(), entriesForFork(again.light, planOf([...entries, ...done("c")], "c"), { runId: "second", readValue: again.readValue }));
    expect(stepOf(twice, "a").keyRunId).toBe("r");
  });

  test("shows the code the same moments in the same order", () => {
    const original = stateOf(...eventful).moments.filter((moment) => moment.key !== "c");
    expect(state.moments.map((moment) => [moment.type, moment.key])).toEqual(original.map((moment) => [moment.type, moment.key]));
  });
});

describe("what a rollback takes over", () => {
  const takenOver = (...entries: Entry[]) => {
    const { light, readValue } = lightJournal([...entries, runEnded("terminated")]);
    return foldOf(
      created({ at: 100, startAt: 100, origin: { runId: "r", relation: "rollback", step: null } }),
      entriesForRollback(stateOf(...entries), light, { runId: "r", readValue }),
    );
  };

  test("is all that the run did, with every step as it stood", () => {
    const state = takenOver(...eventful);
    const original = stateOf(...eventful);
    const steps = (of: RunState) => [...of.steps.values()].map((step) => [step.key, step.status, step.attempt, step.outcome]);
    expect(steps(state)).toEqual(steps(original));
    expect(state.moments.map((moment) => [moment.type, moment.key])).toEqual(original.moments.map((moment) => [moment.type, moment.key]));
  });

  test("is not that an operator held the run when it ended: what undoes it is not held", () => {
    expect(takenOver(created(), ...done("a", { compensates: true }), paused()).paused).toBe(null);
  });
});

describe("the same fork again", () => {
  const origin = { runId: "o", relation: "fork", step: "b" } as const;
  test.each<[string, RunCreated["origin"], boolean]>([
    ["is the same", origin, true],
    ["from another step is another", { ...origin, step: "c" }, false],
    ["of another run is another", { ...origin, runId: "p" }, false],
    ["is no rollback", { ...origin, relation: "rollback" }, false],
    ["is no run of its own", null, false],
  ])("%s", (_title, known, same) => {
    const check = () => checkSameOrigin(recorded(created({ origin: known }), 1), origin);
    if (same) expect(check).not.toThrow();
    else expect(check).toThrow(code("run_exists"));
  });
});

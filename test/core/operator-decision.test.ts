import { describe, expect, test } from "vitest";
import type { Operation, OperatorCommand } from "#core/command.ts";
import type { Entry } from "#core/entry.ts";
import { operationEntries, undoingOf } from "#core/operator-decision.ts";
import { runStatus } from "#core/run-view.ts";
import {
  acted,
  add,
  approval,
  attempt,
  blocked,
  cancel,
  claimed,
  created,
  ended,
  eventWait,
  failed,
  parked,
  paused,
  rollback,
  runEnded,
  sleep,
  started,
  stateOf,
  stepFailed,
  stepOf,
  undo,
} from "./journal.ts";

const operator: OperatorCommand = { actor: "ann", reason: "why", expectedSeq: null };
const code = (value: string) => expect.objectContaining({ code: value });

/** Every operation on a run as a whole. */
const onRun = {
  pause: { ...operator, action: "pause" },
  resume: { ...operator, action: "resume" },
  cancel: { ...operator, action: "cancel", compensate: false },
  "cancel+": { ...operator, action: "cancel", compensate: true },
  rollback: { ...operator, action: "rollback", from: null },
  terminate: { ...operator, action: "terminate" },
  discard: { ...operator, action: "discard" },
} satisfies Record<string, Operation>;

/** Every operation on the step `s`. */
const onStep = {
  retry: { ...operator, action: "retry", key: "s", value: null },
  complete: { ...operator, action: "complete", key: "s", value: "[5]" },
  skip: { ...operator, action: "skip", key: "s", value: null },
  fail: { ...operator, action: "fail", key: "s", value: "[6]" },
} satisfies Record<string, Operation>;

/** What a decision answers, in brief: the kinds of entry that it adds, or the code of its refusal. */
type Brief = string;

function brief(entries: readonly Entry[], operation: Operation): Brief {
  const state = stateOf(...entries);
  const before = JSON.stringify([...state.steps.values(), state.lastSeq]);
  try {
    const written = operationEntries(state, operation, 50);
    expect(JSON.stringify([...state.steps.values(), state.lastSeq]), "a decision changes nothing by itself").toBe(before);
    // Whatever is decided can be folded, and begins with the operator's act.
    add(state, ...written);
    const [act, ...rest] = written;
    if (act) expect(act).toMatchObject({ kind: "operator.acted", action: operation.action, actor: "ann", reason: "why", at: 50 });
    return act ? ["acted", ...rest.map((entry) => entry.kind.replace(/^run\.|^step\./, ""))].join(" ") : "nothing";
  } catch (error) {
    expect(error).toMatchObject({ name: "Fault" });
    expect(JSON.stringify([...state.steps.values(), state.lastSeq]), "a refusal changes nothing").toBe(before);
    return (error as { code: string }).code;
  }
}

/** Something to undo, before the step that it is about. */
const done: Entry[] = [started("a", { compensates: true }), ended("a")];
const none: Brief[] = ["run_ended", "run_ended", "run_ended", "run_ended", "run_ended", "run_ended", "run_ended"];

const states: readonly (readonly [string, string, readonly Entry[], readonly Brief[]])[] = [
  // title, status, journal, [pause, resume, cancel, cancel and compensate, rollback, terminate, discard]
  [
    "queued",
    "queued",
    [created({ startAt: 99 })],
    ["acted paused", "not_paused", "acted cancel_requested ended", "acted cancel_requested ended", "nothing_to_undo", "acted ended", "acted ended"],
  ],
  [
    "running",
    "running",
    [created(), ...done, started("s")],
    ["acted paused", "not_paused", "acted cancel_requested", "acted cancel_requested", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "running with nothing to undo",
    "running",
    [created(), started("s")],
    ["acted paused", "not_paused", "acted cancel_requested", "acted cancel_requested", "nothing_to_undo", "acted ended", "acted ended"],
  ],
  [
    "waiting",
    "waiting",
    [created(), ...done, sleep("s", 99)],
    ["acted paused", "not_paused", "acted cancel_requested", "acted cancel_requested", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "parked",
    "paused",
    [created(), ...done, started("s"), parked("s")],
    ["acted paused", "acted", "acted cancel_requested", "acted cancel_requested", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "held",
    "paused",
    [created(), ...done, sleep("s", 99), paused()],
    [
      "nothing",
      "acted resumed",
      "acted resumed cancel_requested",
      "acted resumed cancel_requested",
      "acted resumed rollback_begun",
      "acted ended",
      "acted ended",
    ],
  ],
  [
    "held and parked",
    "paused",
    [created(), ...done, started("s"), parked("s"), paused()],
    [
      "nothing",
      "acted resumed",
      "acted resumed cancel_requested",
      "acted resumed cancel_requested",
      "acted resumed rollback_begun",
      "acted ended",
      "acted ended",
    ],
  ],
  [
    "held before it began",
    "paused",
    [created({ startAt: 99 }), paused()],
    [
      "nothing",
      "acted resumed",
      "acted resumed cancel_requested ended",
      "acted resumed cancel_requested ended",
      "nothing_to_undo",
      "acted ended",
      "acted ended",
    ],
  ],
  [
    "blocked",
    "blocked",
    [created(), ...done, sleep("s", 99), blocked],
    ["acted paused", "not_paused", "acted cancel_requested ended", "acted cancel_requested", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "blocked with nothing to undo",
    "blocked",
    [created(), sleep("s", 99), blocked],
    ["acted paused", "not_paused", "acted cancel_requested ended", "acted cancel_requested ended", "nothing_to_undo", "acted ended", "acted ended"],
  ],
  [
    "cancelling",
    "waiting",
    [created(), ...done, cancel, sleep("s", 99)],
    ["acted paused", "not_paused", "nothing", "nothing", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "blocked while cancelling",
    "blocked",
    [created(), cancel, sleep("s", 99), blocked],
    ["acted paused", "not_paused", "acted ended", "acted ended", "nothing_to_undo", "acted ended", "acted ended"],
  ],
  [
    "blocked while cancelling with something to undo",
    "blocked",
    [created(), ...done, { ...cancel, compensate: true } as typeof cancel, sleep("s", 99), blocked],
    ["acted paused", "not_paused", "nothing", "nothing", "acted rollback_begun", "acted ended", "acted ended"],
  ],
  [
    "compensating",
    "compensating",
    [created(), ...done, rollback("a"), undo("a")],
    ["acted paused", "not_paused", "rollback_under_way", "rollback_under_way", "rollback_under_way", "acted ended", "acted ended"],
  ],
  [
    "parked while compensating",
    "paused",
    [created(), ...done, rollback("a"), undo("a"), parked("~a")],
    ["acted paused", "acted", "rollback_under_way", "rollback_under_way", "rollback_under_way", "acted ended", "acted ended"],
  ],
  [
    "held while compensating",
    "paused",
    [created(), ...done, rollback("a"), undo("a"), failed("~a", 1), paused()],
    ["nothing", "acted resumed", "rollback_under_way", "rollback_under_way", "rollback_under_way", "acted ended", "acted ended"],
  ],
  ["completed", "completed", [created(), ...done, runEnded("completed")], none],
  ["failed", "failed", [created(), ...done, runEnded("failed")], none],
  [
    "cancelled",
    "cancelled",
    [created(), ...done, runEnded("cancelled")],
    ["run_ended", "run_ended", "nothing", "nothing", "run_ended", "run_ended", "run_ended"],
  ],
  [
    "terminated",
    "terminated",
    [created(), ...done, runEnded("terminated")],
    ["run_ended", "run_ended", "run_ended", "run_ended", "run_ended", "nothing", "nothing"],
  ],
];

describe("what an operator may do to a run", () => {
  test.each(states)("that is %s (%s) is just this", (_title, status, entries, expected) => {
    expect(runStatus(stateOf(...entries), false)).toBe(status);
    expect(Object.fromEntries(Object.entries(onRun).map(([name, operation]) => [name, brief(entries, operation)]))).toEqual(
      Object.fromEntries(Object.keys(onRun).map((name, index) => [name, expected[index]])),
    );
  });

  test("done twice changes nothing the second time, or is refused", () => {
    for (const [, status, entries] of states) {
      for (const operation of Object.values(onRun)) {
        const state = stateOf(...entries);
        const first = brief(entries, operation);
        if (!first.startsWith("acted")) continue;
        add(state, ...operationEntries(state, operation, 50));
        const again = () => operationEntries(state, operation, 60);
        const title = `${operation.action} of a ${status} run`;
        if (operation.action === "resume") expect(again, title).toThrow(code("not_paused"));
        else if (operation.action === "rollback") expect(again, title).toThrow(code("rollback_under_way"));
        else expect(again(), title).toEqual([]);
      }
    }
  });
});

describe("what an operator may do to a step", () => {
  const instead = (text: Brief): Brief[] => [text, text, text, text];
  test.each<[string, Entry[], Brief[]]>([
    // [retry, complete, skip, fail]
    ["that does not exist", [], instead("step_not_found")],
    ["that is running", [started("s")], instead("step_state")],
    ["that is on the queue", [started("s", { dispatch: "queue" })], instead("step_state")],
    ["that an executor works on", [started("s", { dispatch: "queue" }), claimed("s")], instead("step_state")],
    ["that is tried again later", [started("s"), failed("s", 1)], ["acted", "acted completed", "acted completed", "acted failed"]],
    ["that is parked", [started("s"), parked("s")], ["acted", "acted completed", "acted completed", "acted failed"]],
    ["that is parked in a held run", [started("s"), parked("s"), paused()], ["acted", "acted completed", "acted completed", "acted failed"]],
    ["that is parked in a blocked run", [started("s"), parked("s"), blocked], ["acted", "acted completed", "acted completed", "acted failed"]],
    ["that sleeps", [sleep("s", 99)], ["step_state", "acted completed", "acted completed", "acted failed"]],
    ["that waits for an event", [eventWait("s")], ["step_state", "acted completed", "acted completed", "acted failed"]],
    ["that waits for an approval", [approval("s")], ["step_state", "acted completed", "acted completed", "acted failed"]],
    ["that has completed", [started("s"), ended("s")], instead("step_state")],
    ["that has failed", [started("s"), stepFailed("s")], instead("step_state")],
    ["that was cancelled", [started("s"), cancel], instead("step_state")],
    ["of a run that has ended", [started("s"), runEnded("completed")], instead("run_ended")],
  ])("%s is just this", (_title, entries, expected) => {
    expect(Object.values(onStep).map((operation) => brief([created(), ...entries], operation))).toEqual(expected);
  });

  test("that undoes another is just this: it is never failed by hand, for nobody would see it", () => {
    const entries = [created(), ...done, rollback("a"), undo("a"), parked("~a")];
    const answers = Object.values(onStep).map((operation) => brief(entries, { ...operation, key: "~a" }));
    expect(answers).toEqual(["acted", "acted completed", "acted completed", "step_state"]);
  });

  test("that has parked lets it go on: tried again with a fresh budget, or ended with what the operator says", () => {
    const stepAfter = (operation: Operation) => {
      const state = stateOf(created(), started("s", { value: "[1]" }), failed("s", 1), attempt("s", 2), parked("s", 2, 40));
      add(state, ...operationEntries(state, operation, 50));
      return stepOf(state);
    };
    expect(stepAfter(onStep.retry)).toMatchObject({ status: "retrying", retryAt: 50, failures: 0, budgetStartedAt: 50, parkedError: null, inputSeq: 2 });
    expect(stepAfter({ ...onStep.retry, value: "[9]" })).toMatchObject({ status: "retrying", inputSeq: 6 });
    expect(stepAfter(onStep.complete)).toMatchObject({ status: "completed", outcome: "by_hand", resultSeq: 7, endSeq: 7 });
    expect(stepAfter(onStep.skip)).toMatchObject({ status: "completed", outcome: "skipped", resultSeq: null });
    expect(stepAfter(onStep.fail)).toMatchObject({ status: "failed", outcome: "by_hand", resultSeq: 7 });
  });

  test("completed by hand ends a wait as what it waited for would", () => {
    for (const wait of [eventWait("s"), approval("s")]) {
      expect(operationEntries(stateOf(created(), wait), onStep.complete, 50)[1]).toMatchObject({ outcome: "arrived", value: "[5]", eventSeq: null });
    }
  });

  test("that records no input takes no corrected one, and is not tried again by the way", () => {
    const entries = [created(), started("s"), parked("s")];
    expect(brief(entries, { ...onStep.retry, value: "[9]" })).toBe("step_state");
    expect(brief([created(), started("s", { value: "[1]" }), parked("s")], { ...onStep.retry, value: "[9]" })).toBe("acted");
  });
});

test("resuming tries every parked step again, and only those", () => {
  const state = stateOf(created(), started("s"), parked("s"), started("t"), parked("t"), started("u"), failed("u", 1), sleep("nap", 99));
  expect(operationEntries(state, onRun.resume, 50)).toMatchObject([{ action: "resume", keys: ["s", "t"], before: "paused" }]);
});

describe("what was decided on another state than the run has now", () => {
  const entries = [created(), ...done, started("s"), parked("s")];
  const all: Operation[] = [...Object.values(onRun), ...Object.values(onStep)];

  test.each(all.map((operation) => [operation.action, operation] as const))("is refused as stale: %s", (_title, operation) => {
    const { lastSeq } = stateOf(...entries);
    for (const expectedSeq of [lastSeq - 1, lastSeq + 1, 0]) expect(brief(entries, { ...operation, expectedSeq })).toBe("stale");
    expect(brief(entries, { ...operation, expectedSeq: lastSeq })).toMatch(/^acted/);
  });

  test("is refused as ended rather than as stale when the run has ended", () => {
    expect(brief([...entries, runEnded("completed")], { ...onRun.pause, expectedSeq: 1 })).toBe("run_ended");
  });

  test("but was done already changes nothing, whatever it expected", () => {
    expect(brief([...entries, runEnded("cancelled")], { ...onRun.cancel, expectedSeq: 1 })).toBe("nothing");
    expect(brief([...entries, runEnded("terminated")], { ...onRun.terminate, expectedSeq: 1 })).toBe("nothing");
  });
});

describe("a rollback", () => {
  const entries = [created(), started("a", { compensates: true }), ended("a"), started("b", { compensates: true }), ended("b"), started("s"), parked("s")];

  test("says which steps it undoes, in the act and in what begins", () => {
    expect(operationEntries(stateOf(...entries), onRun.rollback, 50)).toMatchObject([
      { action: "rollback", keys: ["b", "a"] },
      { kind: "run.rollback_begun", keys: ["b", "a"], end: { status: "cancelled", reason: "rolled_back", actor: "ann" } },
    ]);
    expect(operationEntries(stateOf(...entries), { ...onRun.rollback, from: "b" }, 50)[0]).toMatchObject({ keys: ["b"] });
  });

  test("from a step that does not exist, or after all that could be undone, is refused", () => {
    expect(brief(entries, { ...onRun.rollback, from: "z" })).toBe("step_not_found");
    expect(brief(entries, { ...onRun.rollback, from: "s" })).toBe("nothing_to_undo");
  });

  test("of a run that has ended is a run of its own, which is refused when there is nothing to undo", () => {
    const origin = { runId: "o", relation: "rollback", step: null } as const;
    const undoing = (taken: readonly Entry[], more = {}) =>
      undoingOf(created({ at: 40, startAt: 40 }), { origin: { ...origin, ...more }, input: "[0]", entries: taken }, { actor: "ann", at: 40 });
    expect(undoing(entries.slice(1))).toMatchObject([{ kind: "run.rollback_begun", keys: ["b", "a"], end: { status: "completed", actor: "ann" } }]);
    expect(undoing(entries.slice(1), { step: "b" })).toMatchObject([{ keys: ["b"] }]);
    expect(undoing(entries.slice(1), { relation: "fork" })).toEqual([]);
    expect(() => undoing([started("s"), stepFailed("s")])).toThrow(code("nothing_to_undo"));
  });
});

test("a cancel remembers whether it undoes; a discard tells that it was one", () => {
  const state = () => stateOf(created(), ...done, started("s"));
  for (const compensate of [true, false]) {
    expect(operationEntries(state(), { ...onRun.cancel, compensate }, 50)[1]).toMatchObject({
      kind: "run.cancel_requested",
      compensate,
      actor: "ann",
      reason: "why",
    });
  }
  expect(operationEntries(state(), onRun.discard, 50)[1]).toMatchObject({ status: "terminated", reason: "discarded", actor: "ann" });
  expect(operationEntries(state(), onRun.terminate, 50)[1]).toMatchObject({ status: "terminated", reason: "operator" });
});

test("the act says what the run's status was", () => {
  for (const [, status, entries] of states) {
    const state = stateOf(...entries);
    if (!brief(entries, onRun.terminate).startsWith("acted")) continue;
    expect(operationEntries(state, onRun.terminate, 50)[0]).toMatchObject({ before: status });
  }
});

test("a step that was retried by an operator in vain parks again, and can be retried again", () => {
  const state = stateOf(created(), started("s"), parked("s"), acted("retry", ["s"]), attempt("s", 2), parked("s", 2, 60));
  expect(operationEntries(state, onStep.retry, 70)).toMatchObject([{ action: "retry", keys: ["s"] }]);
});

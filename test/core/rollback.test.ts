import { describe, expect, test } from "vitest";
import type { Entry } from "#core/entry.ts";
import { codeEnded, compensationKey, isInDoubt, nextToUndo, rollbackBegun, stepsToUndo, undoneKey } from "#core/rollback.ts";
import {
  add,
  approval,
  attempt,
  cancel,
  created,
  ended,
  failed,
  parked,
  rollback,
  runEnded,
  sleep,
  started,
  stateOf,
  stepFailed,
  stepOf,
  undo,
} from "./journal.ts";

/** A step that declares how it is undone. */
const reversible = (key: string, more = {}) => started(key, { compensates: true, ...more });
const done = (...keys: string[]): Entry[] => keys.flatMap((key) => [reversible(key), ended(key)]);
const keysToUndo = (entries: readonly Entry[], from: string | null = null) => stepsToUndo(stateOf(created(), ...entries), from).map((step) => step.key);
const end = { status: "failed", reason: "compensated", actor: null, failedKey: null, error: null } as const;

describe("a rollback undoes", () => {
  test.each<[string, Entry[], string[]]>([
    ["nothing when nothing declares how", [started("a"), ended("a"), sleep("nap", 9), approval("ok")], []],
    ["in reverse order of start", done("a", "b", "c"), ["c", "b", "a"]],
    ["in reverse order of start, whichever ended first", [reversible("a"), reversible("b"), ended("b"), ended("a")], ["b", "a"]],
    ["only what declares how", [...done("a"), started("b"), ended("b"), ...done("c")], ["c", "a"]],
    ["a step that failed: it may have happened", [...done("a"), reversible("b"), stepFailed("b")], ["b", "a"]],
    ["a step that is under way", [reversible("a")], ["a"]],
    ["a step on the queue", [reversible("a", { dispatch: "queue" })], ["a"]],
    ["a step that is tried again later", [reversible("a"), failed("a", 1)], ["a"]],
    ["a step that is parked", [reversible("a"), parked("a")], ["a"]],
    ["a step that was cut off by a cancel", [reversible("a"), cancel], ["a"]],
    ["a step that a person completed", [reversible("a"), parked("a"), ended("a", { outcome: "by_hand" })], ["a"]],
    ["a step that a person failed", [reversible("a"), parked("a"), stepFailed("a", { outcome: "by_hand" })], ["a"]],
    ["no step that a person skipped", [...done("a"), reversible("b"), parked("b"), ended("b", { outcome: "skipped", value: null })], ["a"]],
    [
      "no step that could not even begin",
      [...done("a"), stepFailed("b", { attempt: 0, instant: { name: "b", count: 1, step: "do", automation: null } })],
      ["a"],
    ],
    ["no step that was undone before", [...done("a", "b"), rollback("b", "a"), undo("b"), ended("~b")], ["a"]],
    ["a step whose undo was skipped by a person no more", [...done("a"), rollback("a"), undo("a"), parked("~a"), ended("~a", { outcome: "skipped" })], []],
    ["a step whose undo has only begun", [...done("a"), rollback("a"), undo("a")], ["a"]],
    ["a step whose undo failed", [...done("a"), rollback("a"), undo("a"), parked("~a")], ["a"]],
  ])("%s", (_title, entries, keys) => {
    expect(keysToUndo(entries)).toEqual(keys);
  });

  test("from a step on: that one and all that began after it, those of other branches too", () => {
    const entries = [reversible("a"), reversible("b"), ended("b"), reversible("c"), ended("a"), ended("c")];
    expect(keysToUndo(entries, "b")).toEqual(["c", "b"]);
    expect(keysToUndo(entries, "a")).toEqual(["c", "b", "a"]);
  });

  test("from a step that itself declares nothing: all that began after it", () => {
    expect(keysToUndo([...done("a"), sleep("nap", 9), ...done("b")], "nap")).toEqual(["b"]);
  });
});

test("only a completed step is sure to have happened", () => {
  const of = (...entries: Entry[]) => isInDoubt(stepOf(stateOf(created(), reversible("s"), ...entries)));
  expect(of(ended("s"))).toBe(false);
  for (const entries of [[], [failed("s", 1)], [parked("s")], [stepFailed("s")], [cancel]]) expect(of(...entries)).toBe(true);
});

test("the rollback goes from one step to the next, and is done when all are undone", () => {
  const state = stateOf(created(), ...done("a", "b"));
  expect(nextToUndo(state)).toBe(null);
  add(state, rollbackBegun(state, { at: 30, end, value: null }));
  expect(nextToUndo(state)).toBe("b");
  add(state, undo("b"), parked("~b"));
  expect(nextToUndo(state)).toBe("b");
  add(state, { kind: "operator.acted", at: 40, action: "retry", actor: "ann", reason: null, before: "paused", keys: ["~b"], value: null });
  add(state, attempt("~b", 2), ended("~b", { attempt: 2 }));
  expect(nextToUndo(state)).toBe("a");
  add(state, undo("a"), ended("~a"));
  expect(nextToUndo(state)).toBe(null);
});

test("a rollback from a step leaves alone what began before it", () => {
  const state = stateOf(created(), ...done("a", "b"));
  add(state, rollbackBegun(state, { at: 30, end, value: null, from: "b" }));
  add(state, undo("b"), ended("~b"));
  expect(nextToUndo(state)).toBe(null);
});

test("when the code has ended, the run ends too, unless there is something to undo and it should be", () => {
  const start = { at: 50, end, value: "[0]" };
  const withDone = stateOf(created(), ...done("a"));
  expect(codeEnded(withDone, start, true)).toEqual({ kind: "run.rollback_begun", at: 50, keys: ["a"], end, value: "[0]" });
  expect(codeEnded(withDone, start, false)).toEqual({ kind: "run.ended", at: 50, ...end, value: "[0]" });
  expect(codeEnded(stateOf(created(), started("a"), ended("a")), start, true)).toEqual({ kind: "run.ended", at: 50, ...end, value: "[0]" });
});

test("everything open is closed when a rollback begins, and the code sees none of it", () => {
  const state = stateOf(created(), ...done("a"), started("s"), sleep("nap", 99));
  const seen = state.moments.length;
  add(state, rollback("a"), undo("a"), ended("~a"), runEnded("failed"));
  expect([stepOf(state, "s").status, stepOf(state, "nap").status]).toEqual(["cancelled", "cancelled"]);
  expect(state.moments).toHaveLength(seen);
});

test("the key of an undo tells what it undoes, and is never an author's", () => {
  for (const key of ["a", "a#2", "deploy app"]) expect(undoneKey(compensationKey(key))).toBe(key);
  expect(compensationKey("a")).toBe("~a");
});

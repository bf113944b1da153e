import { expect, test } from "vitest";
import { findingsOf, type JournalEntry, type RunEvidence, type Violation } from "../../bench/kill-checks.ts";

/** The checks that the kill test and the tests of faults rely on find what they are there to find. */

const effect = { runId: "r", arrivedAt: 0, attempt: 1 };
const a = { ...effect, step: "a", place: 1, idempotencyKey: "r/a" };
const b = { ...effect, step: "b", place: 2, idempotencyKey: "r/b" };
const undoA = { ...effect, step: "~a", place: 99, idempotencyKey: "r/~a" };

const started = (key: string, more: Partial<JournalEntry> = {}) => ({ kind: "step.started", key, dispatch: "inline", compensates: true, ...more });
const completed = (key: string, attempt = 1) => ({ kind: "step.completed", key, attempt });

function evidence(journal: readonly Omit<JournalEntry, "seq">[], more: Partial<RunEvidence> = {}): RunEvidence {
  const numbered = journal.map((entry, nth) => ({ ...entry, seq: nth + 1 }));
  const sound = { runId: "r", status: "completed", expected: "completed", indexStatus: "completed", isStartAcked: true, ackedEventId: null, ackedActs: [] };
  return { ...sound, effects: [a, b], journal: numbered, ...more };
}

const whole = [{ kind: "run.created" }, started("a"), completed("a"), started("b"), completed("b"), { kind: "run.ended" }];
const undone = [...whole.slice(0, 5), { kind: "run.rollback_begun", keys: ["b", "a"] }, started("~b"), completed("~b"), started("~a"), completed("~a")];
const undoing = { effects: [a, b, { ...undoA, step: "~b", place: 98, idempotencyKey: "r/~b" }, undoA] };

test("a sound run, and one that was rolled back, have nothing to be found", () => {
  expect(findingsOf(evidence(whole))).toEqual([]);
  expect(findingsOf(evidence(undone, undoing))).toEqual([]);
});

const faulty: readonly (readonly [string, Violation, RunEvidence])[] = [
  ["a start that nobody knows of", "lostStart", evidence([], { status: null })],
  ["an event that is not there", "lostEvent", evidence(whole, { ackedEventId: "e" })],
  ["an event that is there twice", "lostEvent", evidence([...whole, ...[1, 2].map(() => ({ kind: "event.received", eventId: "e" }))], { ackedEventId: "e" })],
  ["an act that is not there", "lostAct", evidence(whole, { ackedActs: ["pause"] })],
  ["a run that hangs", "unfinished", evidence(whole, { status: "running" })],
  ["an index that lags for ever", "indexDifference", evidence(whole, { indexStatus: "running" })],
  ["a step that is recorded twice", "doubleRecord", evidence([...whole.slice(0, 5), completed("b"), { kind: "run.ended" }])],
  ["an entry after the end", "doubleRecord", evidence([...whole, started("c", { dispatch: null })])],
  ["an attempt that acts twice", "reExecution", evidence(whole, { effects: [a, a, b] })],
  ["an attempt that no entry tells of", "reExecution", evidence(whole, { effects: [a, { ...a, attempt: 2 }, b] })],
  ["a step that acts after a later one", "reExecution", evidence(whole, { effects: [a, b, { ...a, attempt: 2 }] })],
  ["a step that sends another key", "keyChange", evidence(whole, { effects: [a, { ...b, idempotencyKey: "r/a" }] })],
  ["a step that never acted", "lostEffect", evidence(whole, { effects: [a] })],
  ["a step that is not undone", "lostUndo", evidence(undone.slice(0, -2), undoing)],
  ["a step that nobody means to undo", "lostUndo", evidence(undone.with(5, { kind: "run.rollback_begun", keys: ["a"] }), undoing)],
  ["steps undone in the order of doing", "lostUndo", evidence(undone, { effects: [a, b, undoA, { ...undoA, step: "~b", place: 98, idempotencyKey: "r/~b" }] })],
  ["a step that acts when it was undone", "lateEffect", evidence(undone, { effects: [...undoing.effects, a] })],
  ["a step that begins after the rollback", "lostUndo", evidence([...undone, started("c", { compensates: false })], undoing)],
];

test.each(faulty)("%s is found as %s", (_title, violation, run) => {
  expect(findingsOf(run).map((finding) => finding.violation)).toContain(violation);
});

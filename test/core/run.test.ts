import { describe, expect, test } from "vitest";
import type { StartCommand } from "#core/command.ts";
import {
  attemptEnded,
  attemptLost,
  attemptStarted,
  bufferedFor,
  callbackArrived,
  checkSameStart,
  eventArrived,
  isCurrentAttempt,
  waitEnded,
} from "#core/decision.ts";
import type { Entry } from "#core/entry.ts";
import { limits } from "#core/limits.ts";
import { applyEntry, emptyRunState } from "#core/run-state.ts";
import { nextDeadline, runReason, runStatus, summarize } from "#core/run-view.ts";
import { encode } from "#core/value.ts";
import {
  acted,
  add,
  approval,
  approvalDecided,
  attempt,
  blocked,
  callback,
  cancel,
  claimed,
  created,
  ended,
  eventWait,
  failed,
  notice,
  parked,
  paused,
  policy,
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

describe("a journal that can't be is refused", () => {
  test.each<[string, Entry[]]>([
    ["it does not begin with the run's creation", [blocked]],
    ["the run is created twice", [created(), created()]],
    ["something follows the run's end", [created(), runEnded("completed"), received("e")]],
    ["a step starts twice", [created(), started("s"), started("s")]],
    ["a step that is not there ends", [created(), ended("s")]],
    ["a step ends twice", [created(), started("s"), ended("s"), ended("s")]],
    ["a step ends after the run was cancelled", [created(), started("s"), cancel, ended("s")]],
    ["an attempt starts while another is under way", [created(), started("s"), attempt("s", 2, 1)]],
    ["an attempt is skipped", [created(), started("s"), failed("s", 1), attempt("s", 3, 1)]],
    ["another attempt than the current one fails", [created(), started("s"), failed("s", 2)]],
    ["an attempt fails twice", [created(), started("s"), failed("s", 1), failed("s", 1)]],
    ["an inline attempt is claimed", [created(), started("s"), claimed("s")]],
    ["an attempt is claimed twice", [created(), started("s", { dispatch: "queue" }), claimed("s"), claimed("s")]],
    ["a request completes for a step without a wait", [created(), started("s"), { kind: "attempt.completed", at: 1, key: "s", attempt: 1 }]],
    ["an event is taken that is not there", [created(), eventWait("s"), ended("s", { eventSeq: 9 })]],
    ["an event is taken twice", [created(), received("e"), eventWait("s"), ended("s", { eventSeq: 2 }), eventWait("t"), ended("t", { eventSeq: 2 })]],
    ["a step parks while its retry is pending", [created(), started("s"), failed("s", 1), parked("s")]],
    ["an operator retries a step that is not parked", [created(), started("s"), acted("retry", ["s"])]],
  ])("when %s", (_title, entries) => {
    expect(() => stateOf(...entries)).toThrow(code("invariant"));
  });

  test("when a number is missing or comes twice", () => {
    const state = stateOf(created());
    for (const seq of [1, 3]) expect(() => applyEntry(state, recorded(blocked, seq))).toThrow(code("invariant"));
  });
});

describe("folding a journal", () => {
  test("follows a step through its attempts", () => {
    const state = stateOf(created(), started("s"));
    const trace = () => [stepOf(state).status, stepOf(state).attempt, stepOf(state).failures, stepOf(state).lostInARow];
    const follow = (entry: Entry) => {
      add(state, entry);
      return trace();
    };
    expect(trace()).toEqual(["running", 1, 0, 0]);
    expect(follow(failed("s", 1, { lost: true }))).toEqual(["retrying", 1, 0, 1]);
    expect(follow(attempt("s", 2, 21))).toEqual(["running", 2, 0, 1]);
    expect(follow(failed("s", 2))).toEqual(["retrying", 2, 1, 0]);
    expect(follow(attempt("s", 3, 22))).toEqual(["running", 3, 1, 0]);
    expect(follow(parked("s", 3, 23))).toEqual(["parked", 3, 2, 0]);
    expect(follow(acted("retry", ["s"]))).toEqual(["retrying", 3, 0, 0]);
    expect([stepOf(state).budgetStartedAt, stepOf(state).retryAt]).toEqual([24, 24]);
    expect(follow(attempt("s", 4, 25))).toEqual(["running", 4, 0, 0]);
    expect(follow(ended("s", { attempt: 4 }))).toEqual(["completed", 4, 0, 0]);
    expect(state.open.size).toBe(0);
  });

  test("follows a queued attempt", () => {
    const state = stateOf(created(), started("s", { dispatch: "queue" }));
    expect(stepOf(state).status).toBe("dispatched");
    add(state, claimed("s"));
    expect(stepOf(state).status).toBe("claimed");
    add(state, failed("s", 1));
    add(state, attempt("s", 2));
    expect(stepOf(state).status).toBe("dispatched");
  });

  test("closes what is open when the run is cancelled or ends, and keeps what had ended", () => {
    for (const last of [cancel, runEnded("terminated")]) {
      const state = stateOf(created(), started("done"), ended("done"), started("s"), sleep("nap", 99), last);
      expect(["done", "s", "nap"].map((key) => stepOf(state, key).status)).toEqual(["completed", "cancelled", "cancelled"]);
      expect([state.open.size, stepOf(state, "nap").wakeAt, stepOf(state).endSeq]).toEqual([0, null, 6]);
    }
  });

  test("shows the workflow its moments in the order of the journal; an instant step begins and ends at once", () => {
    const state = stateOf(
      created(),
      started("a"),
      ended("v", { instant: { name: "v", count: 1, step: "value", automation: null } }),
      ended("a"),
      sleep("nap", 9),
      cancel,
    );
    expect(state.moments.map((moment) => `${moment.type} ${moment.key} ${moment.seq}`)).toEqual([
      "start a 2",
      "start v 3",
      "end v 3",
      "end a 4",
      "start nap 5",
      "cancel  6",
    ]);
  });

  test("forgets lost attempts when the run is unblocked", () => {
    const state = stateOf(created(), started("s"), failed("s", 1, { lost: true }), blocked, { kind: "run.unblocked", at: 50 });
    expect([stepOf(state).lostInARow, state.blocked]).toEqual([0, null]);
  });

  test("keeps the time of the latest entry though a clock went back", () => {
    expect(stateOf(created({ at: 100, startAt: 100 }), started("s", { at: 5 })).lastAt).toBe(100);
  });

  test("collects what is redacted", () => {
    expect([...stateOf(created({ redact: ["a"] }), started("s", { redact: ["b", "a"] })).redact]).toEqual(["a", "b"]);
  });
});

describe("status and reason", () => {
  test.each<[string, Entry[], { status: string; code: string | null; step?: string | null; until?: number | null }, boolean?]>([
    ["a delayed run", [created({ startAt: 500 })], { status: "queued", code: "delayed", until: 500 }],
    ["a delayed run whose time has come", [created({ startAt: 500 }), { kind: "run.started", at: 500 }], { status: "running", code: null }],
    ["a run without steps yet", [created()], { status: "running", code: null }],
    ["a run whose code executes while it sleeps elsewhere", [created(), sleep("nap", 99)], { status: "running", code: null }, true],
    ["an attempt under way", [created(), started("s"), sleep("nap", 99)], { status: "running", code: null }],
    ["an attempt on the queue", [created(), started("s", { dispatch: "queue" })], { status: "running", code: null }],
    ["an attempt claimed", [created(), started("s", { dispatch: "queue" }), claimed("s")], { status: "running", code: null }],
    ["a sleep", [created(), sleep("nap", 99)], { status: "waiting", code: "sleep", step: "nap", until: 99 }],
    ["an event", [created(), eventWait("s")], { status: "waiting", code: "event", step: "s", until: null }],
    ["a callback", [created(), callback("s", { wakeAt: 70 })], { status: "waiting", code: "callback", step: "s", until: 70 }],
    ["a retry", [created(), started("s"), failed("s", 1)], { status: "waiting", code: "retry", step: "s", until: 1000 }],
    [
      "a callback whose request is retried past its time-out",
      [created(), callback("s", { wakeAt: 70, dispatch: "inline", policy }), failed("s", 1)],
      { status: "waiting", code: "retry", step: "s", until: 70 },
    ],
    [
      "several waits: the first that is due",
      [created(), eventWait("e"), sleep("b", 80), sleep("a", 60)],
      { status: "waiting", code: "sleep", step: "a", until: 60 },
    ],
    ["a parked step", [created(), sleep("nap", 99), started("s"), parked("s")], { status: "paused", code: "step_failed", step: "s", until: null }],
    ["a parked step beside one under way", [created(), started("s"), parked("s"), started("t")], { status: "running", code: null }],
    ["a run that is held", [created(), sleep("nap", 99), paused()], { status: "paused", code: "operator", step: null, until: null }],
    ["a run that is held before its time", [created({ startAt: 500 }), paused()], { status: "paused", code: "operator" }],
    ["a run that is held while an attempt is under way", [created(), started("s"), paused()], { status: "running", code: "operator" }],
    ["a run that is held with a parked step", [created(), started("s"), parked("s"), paused()], { status: "paused", code: "step_failed", step: "s" }],
    ["a run that was held", [created(), sleep("nap", 99), paused(30), resumed(40)], { status: "waiting", code: "sleep", step: "nap", until: 109 }],
    ["a run that undoes what it did", [created(), started("s"), ended("s"), rollback("s"), undo("s")], { status: "compensating", code: null }],
    [
      "a run whose undo failed",
      [created(), started("s"), ended("s"), rollback("s"), undo("s"), parked("~s")],
      { status: "paused", code: "compensation_failed", step: "~s" },
    ],
    ["a run that is held while it undoes", [created(), started("s"), ended("s"), rollback("s"), paused()], { status: "paused", code: "operator" }],
    ["an approval", [created(), approval("s", { assignees: ["ann", "bob"] }, { wakeAt: 70 })], { status: "waiting", code: "approval", step: "s", until: 70 }],
    [
      "an approval while somebody is being told of it",
      [created(), approval("s"), notice("~n")],
      { status: "waiting", code: "approval", step: "s", until: null },
    ],
    ["a run that is cancelled without clean-up left", [created(), cancel], { status: "running", code: "cancelling" }],
    ["a blocked run", [created(), sleep("nap", 99), blocked], { status: "blocked", code: "nondeterminism" }],
    ["a run that cleans up", [created(), started("s"), cancel, sleep("settle", 99)], { status: "waiting", code: "cancelling", step: "settle" }],
    ["a completed run", [created(), runEnded("completed")], { status: "completed", code: null }],
    ["a failed run", [created(), started("s"), stepFailed("s"), runEnded("failed", null, "s")], { status: "failed", code: "step_failed", step: "s" }],
    [
      "a run whose code threw an error of its own, though a step had failed before",
      [created(), started("s"), stepFailed("s"), runEnded("failed")],
      { status: "failed", code: "workflow_failed", step: null },
    ],
    ["a run that failed with a known fault", [created(), runEnded("failed", "step_limit")], { status: "failed", code: "step_limit" }],
    ["a run that timed out", [created(), runEnded("failed", "run_timeout")], { status: "failed", code: "run_timeout" }],
    ["a cancelled run", [created(), runEnded("cancelled", "operator")], { status: "cancelled", code: "operator" }],
    ["a terminated run", [created(), runEnded("terminated")], { status: "terminated", code: "operator" }],
  ])("of %s", (_title, entries, expected, busy = false) => {
    const state = stateOf(...entries);
    const reason = runReason(state, busy);
    expect([runStatus(state, busy), reason?.code ?? null]).toEqual([expected.status, expected.code]);
    if (expected.step !== undefined) expect(reason?.step ?? null).toBe(expected.step);
    if (expected.until !== undefined) expect(reason?.until ?? null).toBe(expected.until);
    if (reason) expect(reason.message).toMatch(/^\S.*\.$|^differs$/);
  });

  test.each<[string, Entry[], number | null]>([
    ["of nothing", [], null],
    ["of a run that has ended", [created({ deadlineAt: 9 }), runEnded("completed")], null],
    ["of a delayed run: its start", [created({ startAt: 500, deadlineAt: 900 })], 500],
    ["of a run with a time-out: that", [created({ deadlineAt: 900 }), eventWait("e")], 900],
    ["of a run that waits for an event alone", [created(), eventWait("e")], null],
    ["of several waits: the first", [created({ deadlineAt: 900 }), sleep("a", 80), started("s"), failed("s", 1, { retryAt: 60 })], 60],
  ])("the next deadline %s", (_title, entries, at) => {
    expect(nextDeadline(stateOf(...entries))).toBe(at);
  });

  test("an ended run has one summary, whether a message of it is still on its way or not", () => {
    const state = stateOf(created(), runEnded("completed"));
    expect(summarize(state, true)).toEqual(summarize(state, false));
  });

  test("a summary says all of it, and its seq grows when the run comes to rest without a further entry", () => {
    const state = stateOf(created({ attributes: { a: 1 } }), started("s"), stepFailed("s"), runEnded("failed", null, "s"));
    expect(summarize(state, false)).toEqual({
      namespace: "n",
      id: "r",
      workflow: "w",
      version: "1",
      status: "failed",
      reason: expect.objectContaining({ code: "step_failed" }),
      step: "s",
      attributes: { a: 1 },
      trigger: "api",
      createdAt: 0,
      updatedAt: 40,
      endedAt: 40,
      nextWakeAt: null,
      error: { name: "TypeError", message: "bad", code: null },
      fingerprint: null,
      origin: null,
      approvals: [],
      seq: 9,
    });
    expect(summarize(stateOf(created()), true).seq).toBeLessThan(summarize(stateOf(created()), false).seq);
    expect(() => summarize(emptyRunState(), false)).toThrow();
    expect(summarize(stateOf(created(), sleep("nap", 9)), true).nextWakeAt).toBe(null);
    expect(summarize(stateOf(created(), sleep("nap", 9)), false)).toMatchObject({ nextWakeAt: 9, step: "nap" });
  });

  test("a parked run shows its step, its error and the mark of its failure; the mark goes when the step is tried again", () => {
    const state = stateOf(created(), sleep("nap", 99), started("s"), parked("s"));
    const mark = summarize(state, false).fingerprint;
    expect(summarize(state, false)).toMatchObject({ step: "s", error: { message: "x" }, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(summarize(stateOf(created({ runId: "other" }), started("s"), parked("s")), false).fingerprint).toBe(mark);
    add(state, acted("retry", ["s"]));
    expect(summarize(state, false)).toMatchObject({ error: null, fingerprint: null });
  });

  test("an open approval is in the summary until it is decided, with whom it asks and how many have approved", () => {
    const escalation = { afterMs: 30, assignees: ["cleo"] };
    const state = stateOf(created(), approval("s", { assignees: ["ann", "bob"], quorum: 2, escalation }, { wakeAt: 70 }));
    const open = { key: "s", name: "s", assignees: ["ann", "bob"], quorum: 2, decided: 0, since: 10, until: 70, dueAt: 40 };
    expect(summarize(state, false).approvals).toEqual([open]);
    add(state, approvalDecided("s", "ann"), { kind: "approval.escalated", at: 40, key: "s", assignees: ["cleo"] });
    expect(summarize(state, false).approvals).toEqual([{ ...open, decided: 1, assignees: ["ann", "bob", "cleo"] }]);
    add(state, ended("s", { outcome: "approved", value: null }));
    expect(summarize(state, false).approvals).toEqual([]);
  });

  test("nothing is due by time while the run is held", () => {
    expect(nextDeadline(stateOf(created({ deadlineAt: 900 }), sleep("nap", 99), paused()))).toBe(null);
  });
});

describe("a run that was held goes on as if no time had passed", () => {
  const heldFrom = 30;
  const until = 530;

  test.each<[string, Entry[], number]>([
    ["for a sleep", [sleep("s", 99)], 99 + 500],
    ["for the time-out of a wait", [eventWait("s", { wakeAt: 99 })], 99 + 500],
    ["for a retry", [started("s"), failed("s", 1, { retryAt: 99 })], 99 + 500],
  ])("%s", (_title, entries, at) => {
    const state = stateOf(created(), ...entries, paused(heldFrom), resumed(until));
    expect(nextDeadline(state)).toBe(at);
  });

  test("for its own time-out", () => {
    expect(nextDeadline(stateOf(created({ deadlineAt: 900 }), eventWait("s"), paused(heldFrom), resumed(until)))).toBe(900 + 500);
  });

  test("for a retry that was decided while it was held: what passed of its delay was held too", () => {
    const state = stateOf(created(), started("s"), paused(heldFrom), failed("s", 1, { at: 230, retryAt: 1230 }), resumed(until));
    expect(nextDeadline(state)).toBe(until + 1000);
  });

  test("for a step that was parked: resuming tries it again at once", () => {
    const state = stateOf(created(), started("s"), parked("s"), paused(heldFrom), acted("resume", ["s"], { at: until }), resumed(until));
    expect(nextDeadline(state)).toBe(until);
  });

  test("for a step that a person had tried again while it was held", () => {
    const state = stateOf(created(), started("s"), parked("s"), paused(heldFrom), acted("retry", ["s"], { at: 430 }), resumed(until));
    expect(nextDeadline(state)).toBe(until);
  });

  test("held twice", () => {
    expect(nextDeadline(stateOf(created(), sleep("s", 99), paused(30), resumed(40), paused(50), resumed(70)))).toBe(99 + 10 + 20);
  });
});

describe("the same start again", () => {
  const command: StartCommand = {
    namespace: "n",
    runId: "r",
    workflow: "w",
    version: null,
    input: "[0]",
    attributes: {},
    delayMs: 0,
    trigger: "api",
    publicUrl: "http://x",
  };
  const first = recorded(created(), 1);

  test("as a run that was made from another is refused", () => {
    const forked = recorded(created({ origin: { runId: "o", relation: "fork", step: "s" } }), 1);
    expect(() => checkSameStart(forked, command, "[0]")).toThrow(code("run_exists"));
  });

  test.each<[string, Partial<StartCommand>, boolean]>([
    ["in every way", {}, true],
    ["with its version named", { version: "1" }, true],
    ["with another delay and other attributes", { delayMs: 5, attributes: { a: 1 } }, true],
    ["with another input", { input: "[1]" }, false],
    ["with another version", { version: "2" }, false],
    ["with another workflow", { workflow: "v" }, false],
  ])("%s", (_title, more, same) => {
    const check = () => checkSameStart(first, { ...command, ...more }, "[0]");
    if (same) expect(check).not.toThrow();
    else expect(check).toThrow(code("run_exists"));
  });
});

describe("the outcome of an attempt", () => {
  const well = { ok: true as const, value: "[5]" };
  const bad = { ok: false as const, error: "[6]", retryable: true, retryAfterMs: null };

  test.each<[string, Entry[], typeof well | typeof bad, readonly Partial<Entry>[]]>([
    ["that is good completes the step", [started("s")], well, [{ kind: "step.completed", value: "[5]", attempt: 1, at: 100 }]],
    ["that is good leaves a callback to wait", [callback("s", { dispatch: "inline", policy })], well, [{ kind: "attempt.completed", attempt: 1 }]],
    ["that is bad is tried again", [started("s")], bad, [{ kind: "attempt.failed", retryAt: 1100, lost: false, value: "[6]" }]],
    ["that is bad and final fails the step", [started("s")], { ...bad, retryable: false }, [{ kind: "step.failed", value: "[6]" }]],
    ["that is bad once too often fails the step", [started("s"), failed("s", 1), attempt("s", 2, 30)], bad, [{ kind: "step.failed", attempt: 2 }]],
    ["that is bad without a policy fails the step", [started("s", { policy: null })], bad, [{ kind: "step.failed" }]],
    [
      "that is bad fails the step that goes on with a fallback",
      [started("s", { onFailure: "continue" })],
      { ...bad, retryable: false },
      [{ kind: "step.failed" }],
    ],
    [
      "that is bad rolls back the run whose step asks for it",
      [started("a", { compensates: true }), ended("a"), started("s", { onFailure: "compensate", compensates: true })],
      { ...bad, retryable: false, error: encode(new Error("no")) },
      [{ kind: "step.failed" }, { kind: "run.rollback_begun", end: { status: "failed", reason: "compensated", failedKey: "s" } as never }],
    ],
    [
      "that is bad parks a compensation, whatever its step asked for",
      [started("s0", { compensates: true }), ended("s0"), rollback("s0"), started("s", { step: "compensation", onFailure: "fail" })],
      { ...bad, retryable: false },
      [{ kind: "step.parked" }],
    ],
    [
      "that is bad parks the step that asks for it",
      [started("s", { onFailure: "pause" })],
      { ...bad, retryable: false },
      [{ kind: "step.parked", attempt: 1, value: "[6]" }],
    ],
  ])("%s", (_title, before, outcome, expected) => {
    const state = stateOf(created(), ...before);
    const entries = attemptEnded(state, stepOf(state), { outcome, at: 100, random: 0.5 });
    expect(entries).toMatchObject(expected);
    add(state, ...entries);
  });

  test.each<[string, Entry[], number, boolean]>([
    ["of the attempt under way", [started("s")], 1, true],
    ["of the attempt on the queue", [started("s", { dispatch: "queue" })], 1, true],
    ["of an attempt claimed", [started("s", { dispatch: "queue" }), claimed("s")], 1, true],
    ["of an attempt to come", [started("s")], 2, false],
    ["of an attempt that failed", [started("s"), failed("s", 1)], 1, false],
    ["of an attempt before this one", [started("s"), failed("s", 1), attempt("s", 2, 30)], 1, false],
    ["of a step that has ended", [started("s"), ended("s")], 1, false],
    ["of a step that was cancelled", [started("s"), cancel], 1, false],
    ["of a step that is parked", [started("s"), parked("s")], 1, false],
    ["of no step", [], 1, false],
  ])("%s counts or not", (_title, entries, attempt, counts) => {
    expect(isCurrentAttempt(stateOf(created(), ...entries).steps.get("s"), { key: "s", attempt })).toBe(counts);
  });

  test("that is lost is tried again without counting, at once twice, then after pauses that grow to a minute", () => {
    const pauses: number[] = [];
    const state = stateOf(created(), started("s"));
    for (let i = 1; i <= 9; i++) {
      const lost = attemptLost(stepOf(state), 100, "[0]");
      pauses.push(lost.retryAt - 100);
      add(state, lost, attemptStarted(stepOf(state), 100));
    }
    expect(pauses).toEqual([0, 0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
    expect([stepOf(state).failures, stepOf(state).attempt]).toEqual([0, 10]);
  });
});

describe("an event", () => {
  const arrive = (entries: Entry[], more: { id?: string; key?: string; at?: number } = {}) =>
    eventArrived(stateOf(created(), ...entries), { eventId: more.id ?? "new", name: "e", eventKey: more.key ?? null, payload: "[7]" }, more.at ?? 50);

  test.each<[string, Entry[], { key?: string; at?: number }, string | null]>([
    ["is buffered when nothing waits", [], {}, null],
    ["is buffered when something else is waited for", [eventWait("s", { event: "other" })], {}, null],
    ["ends the wait for it", [eventWait("s")], {}, "s"],
    ["ends the wait begun first", [eventWait("s"), eventWait("t")], {}, "s"],
    ["with a key ends a wait for any key", [eventWait("s")], { key: "k" }, "s"],
    ["with a key ends the wait for that key", [eventWait("s", { eventKey: "other" }), eventWait("t", { eventKey: "k" })], { key: "k" }, "t"],
    ["without a key does not end a wait for one", [eventWait("s", { eventKey: "k" })], {}, null],
    ["ends a wait a moment before its time-out", [eventWait("s", { wakeAt: 51 })], {}, "s"],
    ["does not end a wait at its time-out", [eventWait("s", { wakeAt: 50 }), eventWait("t")], {}, "t"],
    ["does not end a callback or a sleep", [callback("c"), sleep("nap", 99)], {}, null],
  ])("%s", (_title, entries, more, taker) => {
    const state = stateOf(created(), ...entries);
    const result = arrive(entries, more);
    expect(result.map((entry) => entry.kind)).toEqual(taker ? ["event.received", "step.completed"] : ["event.received"]);
    if (taker) expect(result[1]).toMatchObject({ key: taker, outcome: "arrived", eventSeq: state.lastSeq + 1, value: null });
    add(state, ...result);
    expect(state.inbox.size).toBe(taker ? 0 : 1);
  });

  test("seen before is nothing new, also after the run's end", () => {
    expect(arrive([received("new")])).toEqual([]);
    expect(arrive([received("new"), runEnded("completed")])).toEqual([]);
  });

  test("is refused by a run that has ended", () => {
    for (const status of ["completed", "failed", "cancelled", "terminated"] as const) expect(() => arrive([runEnded(status)])).toThrow(code("run_ended"));
  });

  test("is refused when the inbox is full, unless something takes it", () => {
    const full = Array.from({ length: limits.bufferedEvents }, (_, index) => received(`e${index}`, { name: "other" }));
    expect(() => arrive(full)).toThrow(code("inbox_full"));
    expect(arrive([...full, eventWait("s")])).toHaveLength(2);
  });

  test("buffered is given out in order of arrival, by name and key", () => {
    const state = stateOf(created(), received("1", { name: "x" }), received("2", { eventKey: "a" }), received("3", { eventKey: "b" }), received("4"));
    expect(bufferedFor(state, "e", null)?.seq).toBe(3);
    expect(bufferedFor(state, "e", "b")?.seq).toBe(4);
    expect(bufferedFor(state, "e", "c")).toBe(null);
    expect(bufferedFor(state, "y", null)).toBe(null);
  });
});

describe("a callback", () => {
  const asking = { dispatch: "inline" as const, policy };
  test.each<[string, Entry[], string | null]>([
    ["ends its wait", [callback("s")], null],
    ["ends its wait a moment before the time-out", [callback("s", { wakeAt: 51 })], null],
    ["that comes before its request has answered ends the wait", [callback("s", asking)], null],
    ["that comes while its request is retried ends the wait", [callback("s", asking), failed("s", 1)], null],
    ["at its time-out is expired", [callback("s", { wakeAt: 50 })], "callback_expired"],
    ["after the wait timed out is expired", [callback("s", { wakeAt: 20 }), ended("s", { outcome: "timeout", value: null })], "callback_expired"],
    ["after its request failed is expired", [callback("s", asking), ended("s", { kind: "step.failed" })], "callback_expired"],
    ["after a cancel is expired", [callback("s"), cancel], "callback_expired"],
    ["used before is used", [callback("s"), ended("s", { outcome: "arrived" })], "callback_used"],
    ["of another kind of step is not found", [eventWait("s")], "step_not_found"],
    ["of no step is not found", [], "step_not_found"],
  ])("%s", (_title, entries, fault) => {
    const state = stateOf(created(), ...entries);
    const arrive = () => callbackArrived(state, "s", "[8]", 50);
    if (fault) expect(arrive).toThrow(code(fault));
    else expect(arrive()).toMatchObject({ kind: "step.completed", outcome: "arrived", value: "[8]", eventSeq: null });
  });
});

test("a wait that is over is timed out; a sleep that is over just ends", () => {
  expect(waitEnded(stepOf(stateOf(created(), eventWait("s", { wakeAt: 9 }))), 9)).toMatchObject({ kind: "step.completed", outcome: "timeout", value: null });
  expect(waitEnded(stepOf(stateOf(created(), sleep("s", 9))), 9)).toMatchObject({ kind: "step.completed", outcome: null });
});

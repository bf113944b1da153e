import { describe, expect, test } from "vitest";
import { approvalOf, type DecideCommand, decided } from "#core/approval.ts";
import { askedPeople, escalateAt } from "#core/asked.ts";
import { waitEnded } from "#core/decision.ts";
import type { Entry } from "#core/entry.ts";
import { add, approval, approvalDecided, blocked, cancel, created, ended, eventWait, paused, resumed, runEnded, started, stateOf, stepOf } from "./journal.ts";

const command: DecideCommand = { key: "s", actor: "ann", via: "api", decision: "approved", comment: "fine", form: null };
const code = (value: string) => expect.objectContaining({ code: value });

const over = (outcome: "approved" | "rejected" | "timeout" | "skipped") => ended("s", { outcome, value: null });

describe("a decision on an approval", () => {
  test.each<[string, Entry[], Partial<DecideCommand> & { readonly at?: number }, string[] | string]>([
    ["that is all it needs approves it", [approval("s")], {}, ["approval.decided", "approved"]],
    ["that is one of two is counted", [approval("s", { quorum: 2 })], {}, ["approval.decided"]],
    ["that is the last of two approves it", [approval("s", { quorum: 2 }), approvalDecided("s", "bob")], {}, ["approval.decided", "approved"]],
    ["that is one of three is counted", [approval("s", { quorum: 3 }), approvalDecided("s", "bob")], {}, ["approval.decided"]],
    ["that rejects is enough, whatever the quorum", [approval("s", { quorum: 3 })], { decision: "rejected" }, ["approval.decided", "rejected"]],
    [
      "that rejects undoes what others approved",
      [approval("s", { quorum: 3 }), approvalDecided("s", "bob")],
      { decision: "rejected" },
      ["approval.decided", "rejected"],
    ],
    ["of the same actor again counts once", [approval("s", { quorum: 2 }), approvalDecided("s", "ann")], {}, []],
    [
      "of the same actor again counts once, by another way too",
      [approval("s", { quorum: 2 }), approvalDecided("s", "ann")],
      { via: "link", comment: null },
      [],
    ],
    [
      "of the same actor who decided otherwise before is refused",
      [approval("s", { quorum: 2 }), approvalDecided("s", "ann")],
      { decision: "rejected" },
      "already_decided",
    ],
    ["of somebody who was not asked counts: who may decide is for others to say", [approval("s")], { actor: "zoe" }, ["approval.decided", "approved"]],
    ["that was made before the approval's end is repeated after it", [approval("s"), approvalDecided("s", "ann"), over("approved")], {}, []],
    ["that was made before the run's end is repeated after it", [approval("s"), approvalDecided("s", "ann"), over("approved"), runEnded("completed")], {}, []],
    ["after another's is refused", [approval("s"), approvalDecided("s", "bob"), over("approved")], {}, "already_decided"],
    ["after a rejection is refused", [approval("s"), approvalDecided("s", "bob", "rejected"), over("rejected")], {}, "already_decided"],
    ["after the time-out is refused", [approval("s", {}, { wakeAt: 20 }), over("timeout")], {}, "already_decided"],
    ["after a person skipped it is refused", [approval("s"), over("skipped")], {}, "already_decided"],
    ["after a cancel is refused", [approval("s"), cancel], {}, "already_decided"],
    ["after the run's end is refused", [approval("s"), runEnded("terminated")], {}, "already_decided"],
    ["a moment before the time-out counts", [approval("s", {}, { wakeAt: 51 })], { at: 50 }, ["approval.decided", "approved"]],
    ["at the time-out is refused, even if its alarm is late", [approval("s", {}, { wakeAt: 50 })], { at: 50 }, "already_decided"],
    [
      "while the run is held counts, for the approval's time stands still",
      [approval("s", {}, { wakeAt: 40 }), paused(30)],
      { at: 50 },
      ["approval.decided", "approved"],
    ],
    [
      "after the run was held has the time that was left",
      [approval("s", {}, { wakeAt: 40 }), paused(30), resumed(500)],
      { at: 509 },
      ["approval.decided", "approved"],
    ],
    ["after that time is refused", [approval("s", {}, { wakeAt: 40 }), paused(30), resumed(500)], { at: 510 }, "already_decided"],
    ["while the run is blocked counts", [approval("s"), blocked], {}, ["approval.decided", "approved"]],
    [
      "after more people were asked counts",
      [approval("s"), { kind: "approval.escalated", at: 20, key: "s", assignees: ["cleo"] }],
      { actor: "cleo" },
      ["approval.decided", "approved"],
    ],
    ["on no step is refused", [], {}, "step_not_found"],
    ["on another kind of wait is refused", [eventWait("s")], {}, "step_not_found"],
    ["on a step that is no wait is refused", [started("s")], {}, "step_not_found"],
  ])("%s", (_title, entries, { at = 50, ...more }, expected) => {
    const state = stateOf(created(), ...entries);
    const { lastSeq } = state;
    const decide = () => decided(state, { ...command, ...more }, at);
    if (typeof expected === "string") expect(decide).toThrow(code(expected));
    else {
      const written = decide();
      expect(written.map((entry) => (entry.kind === "step.completed" ? entry.outcome : entry.kind))).toEqual(expected);
      add(state, ...written);
    }
    if (typeof expected === "string" || expected.length === 0) expect(state.lastSeq).toBe(lastSeq);
  });

  test("is recorded with who, when, how, what, why and the form's data", () => {
    const state = stateOf(created(), approval("s"));
    const entries = decided(state, { ...command, via: "slack", form: '["x"]' }, 50);
    expect(entries[0]).toEqual({
      kind: "approval.decided",
      at: 50,
      key: "s",
      actor: "ann",
      via: "slack",
      decision: "approved",
      comment: "fine",
      value: '["x"]',
    });
    add(state, ...entries);
    expect(stepOf(state)).toMatchObject({ status: "completed", outcome: "approved", decisions: [{ actor: "ann", at: 50, hasForm: true }] });
  });

  test("of two of three people approves it; the third is too late", () => {
    const state = stateOf(created(), approval("s", { assignees: ["ann", "bob", "cleo"], quorum: 2 }));
    for (const actor of ["ann", "ann", "bob"]) add(state, ...decided(state, { ...command, actor }, 50));
    expect(stepOf(state)).toMatchObject({ status: "completed", outcome: "approved", decisions: [{ actor: "ann" }, { actor: "bob" }] });
    expect(() => decided(state, { ...command, actor: "cleo" }, 60)).toThrow(code("already_decided"));
  });
});

describe("an approval", () => {
  test("that nobody decides on times out", () => {
    expect(waitEnded(stepOf(stateOf(created(), approval("s", {}, { wakeAt: 50 }))), 50)).toMatchObject({ outcome: "timeout" });
  });

  test("asks more people after its escalation, and those it asked before still", () => {
    const state = stateOf(created(), approval("s", { assignees: ["ann"], escalation: { afterMs: 100, assignees: ["cleo"] } }));
    expect(askedPeople(approvalOf(state, "s"))).toEqual(["ann"]);
    expect(escalateAt(stepOf(state))).toBe(110);
    add(state, { kind: "approval.escalated", at: 110, key: "s", assignees: ["cleo"] });
    expect(askedPeople(approvalOf(state, "s"))).toEqual(["ann", "cleo"]);
    expect(escalateAt(stepOf(state))).toBe(Number.POSITIVE_INFINITY);
  });

  test("is not escalated once it is over, nor without an escalation", () => {
    const escalation = { afterMs: 100, assignees: ["cleo"] };
    expect(escalateAt(stepOf(stateOf(created(), approval("s", { escalation }), over("approved"))))).toBe(Number.POSITIVE_INFINITY);
    expect(escalateAt(stepOf(stateOf(created(), approval("s"))))).toBe(Number.POSITIVE_INFINITY);
  });

  test("is escalated so much later as the run was held", () => {
    const state = stateOf(created(), approval("s", { escalation: { afterMs: 100, assignees: ["cleo"] } }), paused(30), resumed(530));
    expect(escalateAt(stepOf(state))).toBe(110 + 500);
  });
});

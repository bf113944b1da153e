import { describe, expect, test } from "vitest";
import type { ApprovalSpec, Entry } from "#core/entry.ts";
import { dueNotices, nextNoticeAt } from "#core/notice.ts";
import type { RunState } from "#core/run-state.ts";
import {
  acted,
  add,
  approval,
  approvalDecided,
  attempt,
  cancel,
  created,
  ended,
  notice,
  parked,
  paused,
  resumed,
  rollback,
  runEnded,
  started,
  stateOf,
  undo,
} from "./journal.ts";

const due = (state: RunState, now: number, alerts: string | null = "page") => dueNotices(state, alerts, now).map((it) => `${it.type} ${it.step ?? "run"}`);

/** Tells all that is due, as the engine does: each in a step of its own. */
function tell(state: RunState, now: number, alerts: string | null = "page"): string[] {
  const told = dueNotices(state, alerts, now);
  for (const { key } of told) add(state, notice(key));
  return told.map((it) => `${it.type} ${it.step ?? "run"}`);
}

const asking = (more: Partial<ApprovalSpec> = {}, wakeAt: number | null = null) => approval("s", { notify: "ask", ...more }, { wakeAt });

describe("somebody is told", () => {
  test.each<[string, Entry[], string[]]>([
    ["nothing of a run that goes well", [started("a"), ended("a")], []],
    ["of an approval, at its start", [asking()], ["approval s"]],
    ["nothing of an approval without anybody to tell", [approval("s")], []],
    ["of each approval", [asking(), approval("t", { notify: "ask" })], ["approval s", "approval t"]],
    ["of a parked step", [started("a"), parked("a")], ["dead_letter a"]],
    ["of each parked step", [started("a"), parked("a"), started("b"), parked("b")], ["dead_letter a", "dead_letter b"]],
    ["of an undo that failed", [started("a"), ended("a"), rollback("a"), undo("a"), parked("~a")], ["dead_letter ~a"]],
    ["of a run that an operator holds", [started("a"), paused()], ["paused run"]],
    ["of an approval that expired", [asking(), ended("s", { outcome: "timeout", value: null })], ["approval_expired s"]],
    ["of an approval that expired, though nobody was told before", [approval("s"), ended("s", { outcome: "timeout", value: null })], ["approval_expired s"]],
    ["of an approval that is escalated", [approval("s"), { kind: "approval.escalated", at: 20, key: "s", assignees: [] }], ["approval_escalated s"]],
    ["nothing of an approval that is decided", [asking(), approvalDecided("s", "ann"), ended("s", { outcome: "approved" })], []],
    ["nothing of an approval that a person skipped", [asking(), ended("s", { outcome: "skipped" })], []],
    ["nothing of an approval that a cancel closed", [asking(), cancel], []],
    ["nothing once the run has ended", [asking(), started("a"), parked("a"), paused(), runEnded("terminated")], []],
  ])("%s, and once only", (_title, entries, expected) => {
    const state = stateOf(created(), ...entries);
    expect(tell(state, 50)).toEqual(expected);
    expect(tell(state, 50)).toEqual([]);
    expect(tell(state, 5_000_000)).toEqual([]);
  });

  test("that a run is late, from its time on, and once", () => {
    const state = stateOf(created({ lateAt: 100 }), started("a"));
    expect(tell(state, 99)).toEqual([]);
    expect(nextNoticeAt(state, "page", 99)).toBe(100);
    expect(tell(state, 100)).toEqual(["late run"]);
    expect(nextNoticeAt(state, "page", 100)).toBe(Number.POSITIVE_INFINITY);
    expect(tell(state, 101)).toEqual([]);
  });

  test("of what concerns somebody on call only where there is one", () => {
    const entries = [created({ lateAt: 20 }), asking(), started("a"), parked("a"), paused()];
    expect(due(stateOf(...entries), 50, null)).toEqual(["approval s"]);
    expect(due(stateOf(...entries), 50)).toEqual(["approval s", "dead_letter a", "paused run", "late run"]);
    expect(nextNoticeAt(stateOf(created({ lateAt: 99 })), null, 50)).toBe(Number.POSITIVE_INFINITY);
  });

  test("again when the same step parks again, and when the run is held again", () => {
    const state = stateOf(created(), started("a"), parked("a"), paused());
    expect(tell(state, 50)).toEqual(["dead_letter a", "paused run"]);
    add(state, acted("resume", ["a"]), resumed(60), attempt("a", 2));
    expect(tell(state, 60)).toEqual([]);
    add(state, parked("a", 2, 70), paused(80));
    expect(tell(state, 80)).toEqual(["dead_letter a", "paused run"]);
  });

  test("of an approval by its own automation, and of its expiry by that too; without one, by that for whoever is on call", () => {
    const automations = (...entries: Entry[]) => dueNotices(stateOf(created(), ...entries), "page", 50).map((it) => it.automation);
    const expired = ended("s", { outcome: "timeout", value: null });
    expect(automations(asking())).toEqual(["ask"]);
    expect(automations(asking(), expired)).toEqual(["ask"]);
    expect(automations(approval("s"), expired)).toEqual(["page"]);
    expect(automations(started("a"), parked("a"))).toEqual(["page"]);
  });
});

describe("reminders", () => {
  const state = () => stateOf(created(), asking({ remindAfterMs: [100, 200, 300] }));

  test("come at their times, in their order, each once", () => {
    const of = state();
    const told: number[] = [];
    for (let at = 10; at <= 400; at += 10) if (tell(of, at).length > 0) told.push(at);
    expect(told).toEqual([10, 110, 210, 310]);
  });

  test("that were missed come as one, and those to come still come", () => {
    const of = state();
    expect(tell(of, 10)).toHaveLength(1);
    expect(tell(of, 250)).toHaveLength(1);
    expect(tell(of, 250)).toHaveLength(0);
    expect(tell(of, 310)).toHaveLength(1);
  });

  test("are looked for at the right time", () => {
    const of = state();
    expect([0, 10, 109, 110, 250, 310].map((now) => nextNoticeAt(of, null, now))).toEqual([10, 110, 110, 210, 310, Number.POSITIVE_INFINITY]);
  });

  test("stop when the approval is decided", () => {
    const of = state();
    add(of, approvalDecided("s", "ann"), ended("s", { outcome: "approved", value: null }));
    expect(tell(of, 500)).toEqual([]);
    expect(nextNoticeAt(of, null, 0)).toBe(Number.POSITIVE_INFINITY);
  });

  test("come so much later as the run was held", () => {
    const of = stateOf(created(), asking({ remindAfterMs: [100] }), paused(30), resumed(530));
    expect(tell(of, 530)).toEqual(["approval s"]);
    expect(tell(of, 609)).toEqual([]);
    expect(tell(of, 610)).toEqual(["approval s"]);
  });
});

import { expect, test } from "vitest";
import { askedPeople, escalateAt, openApprovals } from "#core/asked.ts";
import type { ApprovalSpec, Recorded, StepStarted } from "#core/entry.ts";
import { limits } from "#core/limits.ts";
import { emptyRunState } from "#core/run-state.ts";
import { type StepState, stepOf } from "#core/step-state.ts";

const spec: ApprovalSpec = {
  for: "approval",
  assignees: ["ada"],
  quorum: 2,
  hasSchema: false,
  form: null,
  remindAfterMs: [],
  escalation: { afterMs: 50, assignees: ["boss"] },
  notify: null,
};

function approval(key: string, wait: Partial<ApprovalSpec> = {}): StepState {
  const none = { automation: null, dispatch: null, policy: null, fallback: null, value: null, redact: [] };
  const flags = { onFailure: "fail", compensates: false, unsafeToRepeat: false, keyRunId: null } as const;
  const started: Recorded<StepStarted> = {
    ...{ kind: "step.started", seq: 2, at: 1000, key, name: key, count: 1, step: "approval", wakeAt: 9000 },
    ...none,
    ...flags,
    wait: { ...spec, ...wait },
  };
  return stepOf(started);
}

test("an open approval is told with whom it asks, how many have decided, and when it is due", () => {
  const state = emptyRunState();
  const escalated = Object.assign(approval("escalated"), { escalated: true });
  escalated.decisions.push({ seq: 3, at: 1001, actor: "ada", via: "api", decision: "approved", comment: null, hasForm: false });
  state.approvals.push(approval("first"), Object.assign(approval("over"), { endSeq: 5 }), escalated, approval("plain", { escalation: null }));

  const common = { quorum: 2, since: 1000, until: 9000 };
  expect(openApprovals(state)).toEqual([
    { key: "first", name: "first", assignees: ["ada"], decided: 0, dueAt: 1050, ...common },
    { key: "escalated", name: "escalated", assignees: ["ada", "boss"], decided: 1, dueAt: 1050, ...common },
    { key: "plain", name: "plain", assignees: ["ada"], decided: 0, dueAt: 9000, ...common },
  ]);
  expect(openApprovals(emptyRunState())).toEqual([]);
});

test("a summary stays small enough for a message, however many wait and whomever they ask", () => {
  const state = emptyRunState();
  for (let nth = 0; nth < 1000; nth++) state.approvals.push(approval(`step#${nth}`, { assignees: ["日".repeat(100)] }));
  const shown = openApprovals(state);
  expect(shown.length).toBeGreaterThan(50);
  expect(new TextEncoder().encode(JSON.stringify(shown)).length).toBeLessThan(limits.shownApprovalsBytes * 1.01);
  state.approvals.unshift(approval("monster", { assignees: ["x".repeat(limits.shownApprovalsBytes)] }));
  expect(openApprovals(state)).toEqual(shown);
});

test("more people are asked once, and of open approvals only", () => {
  const step = approval("legal");
  expect(escalateAt(step)).toBe(1050);
  expect(askedPeople({ step, spec })).toEqual(["ada"]);
  expect(escalateAt({ ...step, escalated: true })).toBe(Number.POSITIVE_INFINITY);
  expect(escalateAt({ ...step, endSeq: 4 })).toBe(Number.POSITIVE_INFINITY);
  expect(escalateAt(approval("plain", { escalation: null }))).toBe(Number.POSITIVE_INFINITY);
  expect(escalateAt({ ...step, wait: null })).toBe(Number.POSITIVE_INFINITY);
});

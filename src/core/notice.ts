import type { RunState } from "./run-state.ts";
import type { StepState } from "./step-state.ts";

/**
 * Notices: what somebody should be told of a run, and when. Each has a key of its own, under which it is journaled as a step on the queue, so that it is told once,
 * and told again until it has got through.
 */

export type NoticeType = "approval" | "approval_escalated" | "approval_expired" | "dead_letter" | "paused" | "late";

export interface DueNotice {
  /** The key of its step. */
  readonly key: string;
  readonly type: NoticeType;
  /** The step it is about; null: the run as a whole. */
  readonly step: string | null;
  readonly message: string;
  /** The automation that tells it. */
  readonly automation: string;
}

/** What is to be told by `now` and has not been yet. `alerts` names the automation for what somebody on call should know; null: nobody is. */
export function dueNotices(state: RunState, alerts: string | null, now: number): readonly DueNotice[] {
  if (!state.created || state.ended) return [];
  const notices = [...state.approvals.flatMap((step) => approvalNotices(step, alerts, now)), ...(alerts === null ? [] : alertsOf(state, alerts, now))];
  return notices.filter((notice) => !state.steps.has(notice.key));
}

/** When, after `now`, the next notice is due by time alone, epoch ms; infinity: none is. */
export function nextNoticeAt(state: RunState, alerts: string | null, now: number): number {
  const { created, ended, approvals } = state;
  if (!created || ended) return Number.POSITIVE_INFINITY;
  const times = approvals.flatMap((step) => (step.endSeq === null ? reminders(step).map((reminder) => reminder.at) : []));
  if (alerts !== null && created.lateAt !== null) times.push(created.lateAt);
  return Math.min(...times.filter((at) => at > now), Number.POSITIVE_INFINITY);
}

/** So it is with most runs, and all are asked after every turn. */
export function tellsNobody(state: RunState, alerts: string | null): boolean {
  return alerts === null && state.approvals.length === 0;
}

const lateKey = "~notice:late";

function reminders(step: StepState): readonly { readonly key: string; readonly at: number }[] {
  if (step.wait?.for !== "approval" || step.wait.notify === null) return [];
  return [0, ...step.wait.remindAfterMs].map((afterMs, index) => ({
    key: `~notice:approval:${step.key}:${index}`,
    at: step.startedAt + step.heldMs + afterMs,
  }));
}

function approvalNotices(step: StepState, alerts: string | null, now: number): readonly DueNotice[] {
  if (step.wait?.for !== "approval") return [];
  const { key, wait } = step;
  const found: DueNotice[] = [];
  const automation = wait.notify ?? alerts;
  if (step.endSeq === null && wait.notify !== null) {
    // Those that were missed come as one.
    const due = reminders(step).findLast((reminder) => reminder.at <= now);
    if (due) found.push({ key: due.key, type: "approval", step: key, message: `${key} waits for a decision.`, automation: wait.notify });
  }
  if (automation === null) return found;
  if (step.escalated && step.endSeq === null) {
    found.push({ key: `~notice:escalated:${key}`, type: "approval_escalated", step: key, message: `Nobody has decided on ${key} in time.`, automation });
  }
  if (step.outcome === "timeout") {
    found.push({ key: `~notice:expired:${key}`, type: "approval_expired", step: key, message: `The time to decide on ${key} is over.`, automation });
  }
  return found;
}

function alertsOf(state: RunState, automation: string, now: number): readonly DueNotice[] {
  const found: DueNotice[] = [];
  for (const { key, status, attempt, parkedError } of state.open.values()) {
    if (status !== "parked") continue;
    found.push({
      key: `~notice:dead_letter:${key}:${attempt}`,
      type: "dead_letter",
      step: key,
      message: `Step ${key} failed: ${parkedError?.message ?? ""}`,
      automation,
    });
  }
  if (state.paused) found.push({ key: `~notice:paused:${state.paused.seq}`, type: "paused", step: null, message: "An operator holds the run.", automation });
  const lateAt = state.created?.lateAt ?? null;
  if (lateAt !== null && lateAt <= now) found.push({ key: lateKey, type: "late", step: null, message: "The run takes longer than expected.", automation });
  return found;
}

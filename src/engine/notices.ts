import { approvalOf } from "#core/approval.ts";
import { askedPeople, escalateAt } from "#core/asked.ts";
import type { Entry, StepStarted } from "#core/entry.ts";
import { invariant } from "#core/fault.ts";
import { type DueNotice, dueNotices, nextNoticeAt, tellsNobody } from "#core/notice.ts";
import { retryPolicy } from "#core/retry-policy.ts";
import { encode } from "#core/value.ts";
import type { Notice } from "#sdk/step.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Ledger } from "./ledger.ts";
import type { EnginePorts } from "./ports.ts";

/** Has people told of a run: asked for approval, reminded, alerted. Each notice is a step on the queue that the workflow's code does not see. */
export class Notices {
  readonly #ledger: Ledger;
  readonly #ports: EnginePorts;
  readonly #dispatch: Dispatch;

  constructor(ledger: Ledger, ports: EnginePorts, dispatch: Dispatch) {
    this.#ledger = ledger;
    this.#ports = ports;
    this.#dispatch = dispatch;
  }

  /** Journals and sends what is due. What it did before, it finds in the journal. */
  doDue(now: number): void {
    const { state } = this.#ledger;
    if (tellsNobody(state, this.#alerts)) return;
    const escalated = state.paused ? [] : state.approvals.filter((step) => escalateAt(step) <= now);
    this.#ledger.commit(
      escalated.map(
        (step): Entry => ({ kind: "approval.escalated", at: now, key: step.key, assignees: approvalOf(state, step.key).spec.escalation?.assignees ?? [] }),
      ),
    );
    const due = dueNotices(state, this.#alerts, now);
    this.#ledger.commit(due.map((notice) => this.#started(notice, now)));
    for (const { key } of due) {
      const step = state.open.get(key);
      if (step) this.#dispatch.send(step);
    }
  }

  /** When, after `now`, something is due by time, epoch ms; infinity: nothing is. */
  nextDueAt(now: number): number {
    const { state } = this.#ledger;
    if (tellsNobody(state, this.#alerts)) return Number.POSITIVE_INFINITY;
    const escalations = state.approvals.map(escalateAt).filter((at) => at > now);
    return Math.min(nextNoticeAt(state, this.#alerts, now), ...escalations);
  }

  get #alerts(): string | null {
    return this.#ports.registry.alerts?.name ?? null;
  }

  #started(notice: DueNotice, at: number): StepStarted {
    const { key, automation } = notice;
    const options = this.#ports.registry.automation(automation)?.options;
    return {
      kind: "step.started",
      at,
      key,
      name: key,
      count: 1,
      step: "notice",
      automation,
      dispatch: "queue",
      policy: retryPolicy(options?.retries ?? { limit: 10 }, options?.timeout ?? "1m"),
      onFailure: "fail",
      fallback: null,
      compensates: false,
      unsafeToRepeat: false,
      keyRunId: null,
      wakeAt: null,
      wait: null,
      redact: options?.redact ?? [],
      value: encode(this.#input(notice)),
    };
  }

  #input({ type, step, message }: DueNotice): Notice {
    const { created } = this.#ledger.state;
    invariant(created, "A run without its first entry tells nothing.");
    const { namespace, runId, workflow, version, publicUrl } = created;
    return { type, namespace, runId, workflow, version, step, message, url: `${publicUrl}/v1/runs/${runId}`, links: this.#links(type, step) };
  }

  /** A signed link for everybody who is asked. */
  #links(type: Notice["type"], key: string | null): Notice["links"] {
    const { state } = this.#ledger;
    const { created } = state;
    if (!created || key === null || (type !== "approval" && type !== "approval_escalated")) return [];
    const approval = approvalOf(state, key);
    const { namespace, runId, publicUrl } = created;
    const claims = { namespace, runId, key, expiresAt: approval.step.wakeAt };
    return askedPeople(approval).map((assignee) => ({ assignee, url: this.#ports.callbacks.approvalUrl(publicUrl, { ...claims, assignee }) }));
  }
}

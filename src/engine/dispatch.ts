import type { AttemptOutcome, AttemptRef, Claim, Settled, StepMessage } from "#core/command.ts";
import { attemptEnded, attemptLost, attemptStarted, isCurrentAttempt } from "#core/decision.ts";
import { Fault, invariant } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { attemptDeadline } from "#core/retry-policy.ts";
import { isStopping } from "#core/rollback.ts";
import { idempotencyKey } from "#core/step-key.ts";
import type { StepState } from "#core/step-state.ts";
import { encodeError } from "#core/value.ts";
import type { Ledger } from "./ledger.ts";
import type { EnginePorts } from "./ports.ts";

/** Between two sendings of a message, in ms. */
const longestResendMs = 15 * 60_000;

/**
 * Dispatched attempts: the messages that hint at them, the executors that claim and settle them, and the leases in between. Messages and leases are
 * memory. After a crash they are made anew from the journal: what was sent is sent again in time, and who had claimed gets a fresh lease.
 */
export class Dispatch {
  readonly #ledger: Ledger;
  readonly #ports: EnginePorts;
  /** Called when nothing is on its way to the queue any more. */
  readonly #sent: () => void;
  /** By step key: when to send again (`dispatched`) or to give the executor up (`claimed`, or closed as such), epoch ms; 0: it has stopped. */
  readonly #dueAt = new Map<string, number>();
  #outgoing: StepMessage[] = [];
  #sending = 0;

  constructor(ledger: Ledger, ports: EnginePorts, sent: () => void) {
    this.#ledger = ledger;
    this.#ports = ports;
    this.#sent = sent;
    const now = ledger.now();
    for (const step of ledger.state.open.values()) {
      if (step.status === "dispatched") this.#dueAt.set(step.key, Math.max(now, step.attemptStartedAt + ports.settings.resendMs));
      // An executor that outlived this object renews well before a lease is over; one that died with it should not cost a whole one more.
      if (step.status === "claimed") this.#dueAt.set(step.key, Math.max(now + ports.settings.leaseMs / 2, (step.claimedAt ?? now) + ports.settings.leaseMs));
    }
  }

  get sending(): boolean {
    return this.#sending > 0 || this.#outgoing.length > 0;
  }

  /** Sends the message of a step's current attempt, together with all others of this turn. */
  send(step: StepState): void {
    const { created } = this.#ledger.state;
    invariant(created, "A run without its first entry sends nothing.");
    this.#dueAt.set(step.key, this.#resendAt(step));
    this.#outgoing.push({ namespace: created.namespace, runId: created.runId, key: step.key, attempt: step.attempt });
    if (this.#outgoing.length === 1) queueMicrotask(() => void this.#flush());
  }

  /** Begins a step's next attempt. */
  retry(step: StepState, now: number): void {
    this.#ledger.commit([attemptStarted(step, now)]);
    this.send(step);
  }

  /** The longer nobody has taken an attempt, the longer the pause: repeats at a fixed pace would keep a queue that lags from ever catching up. */
  #resendAt(step: StepState): number {
    const now = this.#ledger.now();
    return now + Math.max(this.#ports.settings.resendMs, Math.min(now - step.attemptStartedAt, longestResendMs));
  }

  /** Sends every message that was not taken: those of a run that was held. */
  sendAll(): void {
    for (const step of this.#ledger.state.open.values()) if (step.status === "dispatched") this.send(step);
  }

  async #flush(): Promise<void> {
    const messages = this.#outgoing;
    this.#outgoing = [];
    if (messages.length === 0) return;
    this.#sending++;
    try {
      await this.#ports.dispatcher.send(messages);
    } catch (error) {
      this.#ports.log.warn("Step messages could not be sent; they are sent again.", { count: messages.length, error: String(error) });
    } finally {
      this.#sending--;
    }
    this.#sent();
  }

  /** An executor asks for an attempt. It is given once, until its lease ends. */
  claim(ref: AttemptRef): Claim {
    const { created, open, paused, ended, steps } = this.#ledger.state;
    const step = open.get(ref.key);
    const closed = steps.get(ref.key);
    if (created && ended && closed?.kind === "notice" && closed.endSeq === ended.seq) return this.#granted(closed, { recorded: false });
    if (!created || !step || step.automation === null || !step.policy) return { granted: false, why: "not_open" };
    if (step.attempt !== ref.attempt) return { granted: false, why: "other_attempt" };
    if (step.status !== "dispatched") return { granted: false, why: "taken" };
    // A held run still tells people of itself.
    if (paused && step.kind !== "notice") return { granted: false, why: "paused" };
    const now = this.#ledger.now();
    this.#ledger.commit([{ kind: "attempt.claimed", at: now, key: step.key, attempt: step.attempt }]);
    this.#lease(step.key, now);
    return this.#granted(step, { recorded: true });
  }

  #granted(step: StepState, { recorded }: { readonly recorded: boolean }): Claim {
    const { created } = this.#ledger.state;
    invariant(created && step.policy && step.automation !== null, `Step ${step.key} has no attempts to give.`);
    const now = this.#ledger.now();
    const deadlineAt = attemptDeadline(step.policy, recorded ? step.budgetStartedAt : now, now) ?? now + limits.dispatchedAttemptMs;
    return {
      granted: true,
      recorded,
      automation: step.automation,
      input: this.#ports.journal.value(step.inputSeq ?? step.startSeq),
      idempotencyKey: idempotencyKey(created.namespace, created.runId, step.key),
      timeoutMs: deadlineAt - now,
      deadlineAt,
      leaseMs: this.#ports.settings.leaseMs,
    };
  }

  /** The executor is alive. False when the attempt is over for the run: it may stop. */
  renew(ref: AttemptRef): boolean {
    const step = this.#ledger.state.steps.get(ref.key);
    if (step?.attempt !== ref.attempt) return false;
    if (this.#isStopping(step)) this.#extend(step);
    if (step.status !== "claimed") return false;
    this.#lease(step.key, this.#ledger.now());
    return true;
  }

  /** The outcome of an attempt. Only that of the attempt under way counts, and of one that was taken only what its executor says. */
  settle(ref: AttemptRef, outcome: AttemptOutcome): Settled {
    const step = this.#ledger.state.steps.get(ref.key);
    if (!outcome.ok && outcome.undelivered && step?.status !== "dispatched") return "ignored";
    if (!isCurrentAttempt(step, ref) || step.dispatch !== "queue") {
      if (step?.attempt === ref.attempt && this.#isStopping(step)) this.#dueAt.set(step.key, 0);
      return "ignored";
    }
    this.#ledger.commit(attemptEnded(this.#ledger.state, step, { outcome, at: this.#ledger.now(), random: this.#ports.random.number() }));
    this.#dueAt.delete(step.key);
    return "recorded";
  }

  /** Somebody was at work on the step when the run closed it, and has not said that it is over. */
  #isStopping(step: StepState): boolean {
    return isWorkedOn(step) && this.#dueAt.get(step.key) !== 0;
  }

  #extend(step: StepState): void {
    const until = Math.min(this.#ledger.now() + this.#ports.settings.leaseMs, this.#latestStop(step));
    this.#dueAt.set(step.key, Math.max(this.#dueAt.get(step.key) ?? 0, until));
  }

  /** Until when executors may be at work on what a rollback is about to undo, epoch ms; 0: none is. One that this object never heard of has a lease from now on. */
  workUntil(): number {
    const { state } = this.#ledger;
    let until = 0;
    if (!isStopping(state)) return until;
    for (const step of state.steps.values()) {
      if (!isWorkedOn(step)) continue;
      if (!this.#dueAt.has(step.key)) this.#lease(step.key, this.#ledger.now());
      until = Math.max(until, this.#dueAt.get(step.key) ?? 0);
    }
    return until;
  }

  /** An executor settles at the end of its attempt's time. One that is not heard to by a lease after that is not waited for, however often it renews. */
  #latestStop({ policy, budgetStartedAt, claimedAt, attemptStartedAt }: StepState): number {
    const deadlineAt = policy && attemptDeadline(policy, budgetStartedAt, claimedAt ?? attemptStartedAt);
    return (deadlineAt ?? Number.POSITIVE_INFINITY) + this.#ports.settings.leaseMs;
  }

  /** Sends a step's message again, or gives up an executor that went silent, if it is time. */
  doDue(step: StepState, now: number): void {
    if ((this.#dueAt.get(step.key) ?? Number.POSITIVE_INFINITY) > now) return;
    if (step.status === "dispatched") return this.send(step);
    this.#dueAt.delete(step.key);
    if (step.status !== "claimed") return;
    const error = new Fault("attempt_lost", `The executor of attempt ${step.attempt} of ${step.key} went silent.`);
    this.#ledger.commit([attemptLost(step, now, encodeError(error))]);
  }

  forgetAll(): void {
    // What is on its way stays on its way: a notice is told even if its run has ended by then.
    this.#dueAt.clear();
  }

  /** The earliest resend or lease end, epoch ms; infinity when there is none. */
  nextDueAt(): number {
    const { open, paused, blocked } = this.#ledger.state;
    let next = Number.POSITIVE_INFINITY;
    for (const [key, dueAt] of this.#dueAt) {
      const step = open.get(key);
      // While a run is held or blocked, nothing is done for it but telling people.
      if (step && ((!paused && !blocked) || step.kind === "notice")) next = Math.min(next, dueAt);
    }
    return next;
  }

  #lease(key: string, now: number): void {
    this.#dueAt.set(key, now + this.#ports.settings.leaseMs);
  }
}

/** The run has closed the step while it was with an executor or, where it was taken over, with the object of the run that began it: they may be at work still. */
function isWorkedOn({ closedFrom, keyRunId }: StepState): boolean {
  return closedFrom === "claimed" || (closedFrom === "running" && keyRunId !== null);
}

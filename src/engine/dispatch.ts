import type { StepMessage } from "#core/command.ts";
import type { RunState, StepState } from "#core/run-state.ts";
import type { EnginePorts } from "./ports.ts";

/**
 * Dispatched attempts: the messages that hint at them and the leases of those who took them. Messages and leases are memory. After a crash they
 * are made anew from the journal: what was sent is sent again in time, and who had claimed gets a fresh lease.
 */
export class Dispatch {
  readonly #ports: EnginePorts;
  /** By step key: when to send again (`dispatched`) or to give the attempt up (`claimed`), epoch ms. */
  readonly #dueAt = new Map<string, number>();
  #outgoing: StepMessage[] = [];
  #sending = 0;

  constructor(ports: EnginePorts) {
    this.#ports = ports;
  }

  get sending(): boolean {
    return this.#sending > 0 || this.#outgoing.length > 0;
  }

  /** Takes over what a loaded journal says is out. */
  restore(state: RunState, now: number): void {
    for (const step of state.open.values()) {
      if (step.status === "dispatched") this.#dueAt.set(step.key, Math.max(now, step.attemptStartedAt + this.#ports.settings.resendMs));
      if (step.status === "claimed") this.#dueAt.set(step.key, now + this.#ports.settings.leaseMs);
    }
  }

  /** Sends the message of a step's current attempt, together with all others of this turn. `done` is called when nothing is on its way any more. */
  send(message: StepMessage, now: number, done: () => void): void {
    this.#dueAt.set(message.key, now + this.#ports.settings.resendMs);
    this.#outgoing.push(message);
    if (this.#outgoing.length === 1) queueMicrotask(() => void this.#flush().then(done));
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
  }

  /** Starts or renews the lease of a claimed attempt. */
  lease(key: string, now: number): void {
    this.#dueAt.set(key, now + this.#ports.settings.leaseMs);
  }

  isDue(step: StepState, now: number): boolean {
    return (this.#dueAt.get(step.key) ?? Number.POSITIVE_INFINITY) <= now;
  }

  forget(key: string): void {
    this.#dueAt.delete(key);
  }

  forgetAll(): void {
    this.#dueAt.clear();
    this.#outgoing = [];
  }

  /** The earliest resend or lease end, epoch ms; infinity when there is none. */
  nextDueAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const dueAt of this.#dueAt.values()) next = Math.min(next, dueAt);
    return next;
  }
}

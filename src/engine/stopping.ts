import { isStopping } from "#core/rollback.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Ledger } from "./ledger.ts";
import type { EnginePorts } from "./ports.ts";

/**
 * Work that was told to stop: the run has no use for it any more, and yet it may have an effect. So a rollback undoes nothing before it has come to its end. Actions in this
 * object are waited for as long as a lease from when they were told; executors, which `Dispatch` knows, until they are silent for one.
 */
export class Stopping {
  readonly #ledger: Ledger;
  readonly #ports: EnginePorts;
  readonly #dispatch: Dispatch;
  /** Actions at work, and until when they are waited for, epoch ms. */
  readonly #actions = new Map<Promise<void>, number>();
  #goOn: (() => void) | null = null;
  #cancelTimer: () => void = () => {};

  constructor(ledger: Ledger, ports: EnginePorts, dispatch: Dispatch) {
    this.#ledger = ledger;
    this.#ports = ports;
    this.#dispatch = dispatch;
  }

  /** An action was told to stop; `end` resolves when it has. */
  told(end: Promise<void>): void {
    this.#actions.set(end, this.#ledger.now() + this.#ports.settings.leaseMs);
    void end.then(() => {
      this.#actions.delete(end);
      if (this.#actions.size === 0) this.#over();
    });
  }

  /** A rollback waits for actions in this object: it must be kept alive. */
  get holds(): boolean {
    return isStopping(this.#ledger.state) && this.#actions.size > 0;
  }

  /** When a rollback that waits for executors goes on without them, epoch ms; infinity: none does, or not yet. */
  dueAt(): number {
    const { paused, blocked } = this.#ledger.state;
    return (paused || blocked || this.#actions.size > 0 ? 0 : this.#dispatch.workUntil()) || Number.POSITIVE_INFINITY;
  }

  /** Whether a rollback must wait; `goOn` is called when actions have stopped or are given up. Executors make themselves heard, or the alarm does. */
  mustWait(goOn: () => void): boolean {
    this.#cancelTimer();
    if (!isStopping(this.#ledger.state)) return false;
    const now = this.#ledger.now();
    for (const [end, until] of this.#actions) if (until <= now) this.#actions.delete(end);
    this.#goOn = goOn;
    if (this.#actions.size > 0) this.#cancelTimer = this.#ports.clock.timer(Math.max(...this.#actions.values()), () => this.#over());
    return this.#actions.size > 0 || this.#dispatch.workUntil() > now;
  }

  #over(): void {
    const goOn = this.#goOn;
    this.#goOn = null;
    goOn?.();
  }
}

import type { AttemptContext } from "#sdk/automation.ts";
import type { Log } from "#sdk/log.ts";
import type { AttemptArguments } from "./call.ts";

/** Where an action's context gets what most actions never look at. */
interface ContextHost {
  readonly log: Log;
  idempotencyKey(key: string): string;
}

/**
 * What an action gets beside its input. Its signal and its key are made when somebody looks at them. They are properties of its own, so that a copy has them,
 * too; and their getters are the same for all: with new ones each, every attempt would leave something to the collector's slowest generation.
 */
export class ActionContext implements AttemptContext {
  static readonly #signal: PropertyDescriptor & ThisType<ActionContext> = {
    enumerable: true,
    get() {
      return this.#attempt.signal;
    },
  };
  static readonly #idempotencyKey: PropertyDescriptor & ThisType<ActionContext> = {
    enumerable: true,
    get() {
      return this.#host.idempotencyKey(this.#attempt.key);
    },
  };
  readonly attempt: number;
  readonly input: unknown;
  readonly log: Log;
  declare readonly signal: AbortSignal;
  declare readonly idempotencyKey: string;
  readonly #host: ContextHost;
  readonly #attempt: AttemptArguments;

  constructor(host: ContextHost, attempt: AttemptArguments) {
    this.#host = host;
    this.#attempt = attempt;
    this.attempt = attempt.attempt;
    this.input = attempt.input;
    this.log = host.log;
    Object.defineProperty(this, "signal", ActionContext.#signal);
    Object.defineProperty(this, "idempotencyKey", ActionContext.#idempotencyKey);
  }
}

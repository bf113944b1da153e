import type { StepMessage } from "#core/command.ts";
import { decode, encode, encodeError } from "#core/value.ts";
import { ManualClock, MemoryRun, seededRandom } from "#engine/memory.ts";
import type { AnyAutomation } from "#sdk/automation.ts";
import { verdictOf } from "#sdk/errors.ts";
import { createRegistry } from "#sdk/registry.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";

/** One effect that reached the outside world. */
export interface Effect {
  readonly key: string;
  readonly idempotencyKey: string;
  /** The last journal entry when the effect happened. */
  readonly atSeq: number;
}

interface Io {
  readonly life: number;
  readonly complete: () => void;
}

/**
 * One simulated run with its world: outside effects that take a turn each, a queue with its consumer, an index that confirms, and a clock that moves
 * only when nothing else can happen. `turn` is one turn of the event loop.
 */
export class World {
  readonly clock = new ManualClock();
  readonly run: MemoryRun;
  readonly effects: Effect[] = [];
  readonly #registry;
  readonly #random;
  #pendingIo: Io[] = [];
  #messages: StepMessage[] = [];
  #indexedUpTo = 0;
  turns = 0;

  constructor(definitions: { workflows: AnyWorkflow[]; automations?: AnyAutomation[] }, seed = 1) {
    this.#registry = createRegistry(definitions);
    this.#random = seededRandom(seed);
    this.run = new MemoryRun({ registry: this.#registry, clock: this.clock, random: this.#random, send: (message) => this.#messages.push(message) });
  }

  /** An effect on the outside: it happens when the turn's writes are durable, and answers a turn later, unless the object is gone by then. */
  effect<T>(key: string, idempotencyKey: string, answer: () => T): Promise<T> {
    const { life } = this.run;
    return new Promise((resolve, reject) => {
      this.run.afterCommit(() => {
        this.effects.push({ key, idempotencyKey, atSeq: this.run.journal.size });
        const complete = (): void => {
          try {
            resolve(answer());
          } catch (error) {
            reject(error);
          }
        };
        this.#pendingIo.push({ life, complete });
      });
    });
  }

  start(workflow: string, input: unknown = null): void {
    this.run.engine.start({
      namespace: "default",
      runId: "r1",
      workflow,
      version: null,
      input: encode(input),
      attributes: {},
      delayMs: 0,
      trigger: "api",
      origin: "http://segno.test",
    });
  }

  get status(): string {
    return this.run.engine.summary.status;
  }

  get output(): unknown {
    return decode(this.run.journal.value(this.run.engine.state.lastSeq));
  }

  /** Lets everything that can happen now happen, then makes it durable. False when nothing did. */
  async turn(): Promise<boolean> {
    this.turns++;
    const before = this.run.journal.size;
    const io = this.#pendingIo.splice(0, 1).filter((it) => it.life === this.run.life);
    for (const it of io) it.complete();
    const message = this.#messages.shift();
    if (message) void this.#consume(message);
    const fired = this.run.fireAlarm();
    await this.clock.idle();
    await this.clock.idle();
    this.run.endTurn();
    for (const summary of this.run.published.slice(this.#indexedUpTo)) this.run.engine.indexed(summary.seq);
    this.#indexedUpTo = this.run.published.length;
    this.run.endTurn();
    return fired || io.length > 0 || message !== undefined || this.run.journal.size > before || this.#pendingIo.length > 0 || this.#messages.length > 0;
  }

  /** Runs until the run has ended, moving the clock to the next deadline whenever all is quiet. */
  async finish(options: { readonly maxTurns?: number; readonly onTurn?: () => void } = {}): Promise<void> {
    for (let quiet = 0; this.turns < (options.maxTurns ?? 5000); ) {
      const busy = await this.turn();
      options.onTurn?.();
      if (this.run.engine.state.ended) return;
      quiet = busy ? 0 : quiet + 1;
      if (quiet < 3) continue;
      const next = Math.min(this.run.alarmAt ?? Number.POSITIVE_INFINITY, this.clock.nextTimerAt() ?? Number.POSITIVE_INFINITY);
      if (!Number.isFinite(next)) throw new Error(`The run is ${this.status} and nothing will ever wake it.`);
      this.clock.set(Math.max(next, this.clock.now()));
      quiet = 0;
    }
    throw new Error(`The run is still ${this.status} after ${this.turns} turns.`);
  }

  async #consume(message: StepMessage): Promise<void> {
    const claim = this.run.engine.claim(message);
    if (!claim.granted) return;
    const automation = this.#registry.automation(claim.automation);
    const context = {
      input: decode(claim.input),
      attempt: message.attempt,
      idempotencyKey: claim.idempotencyKey,
      signal: new AbortController().signal,
      log: { info() {}, warn() {}, error() {} },
    };
    try {
      const value = await automation?.options.run(context);
      this.run.engine.settle(message, { ok: true, value: encode(value) });
    } catch (error) {
      this.run.engine.settle(message, {
        ok: false,
        error: encodeError(error),
        ...verdictOf(error, message.attempt, this.clock.now(), automation?.options.retryIf),
      });
    }
  }
}

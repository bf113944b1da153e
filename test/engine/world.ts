import type { Operation, OperatorCommand, StartCommand, StepMessage } from "#core/command.ts";
import type { Entry, RunOrigin } from "#core/entry.ts";
import type { TakenOver } from "#core/fork.ts";
import { decode, encode, encodeError } from "#core/value.ts";
import { ManualClock, MemoryRun, seededRandom } from "#engine/memory.ts";
import { type HistorySource, takenOver } from "#engine/run-history.ts";
import type { AnyAutomation } from "#sdk/automation.ts";
import { verdictOf } from "#sdk/errors.ts";
import { createRegistry, type Registry } from "#sdk/registry.ts";
import { type AnyWorkflow, type WorkflowOptions, workflow } from "#sdk/workflow.ts";

/** One effect that reached the outside world. */
export interface Effect {
  readonly key: string;
  readonly idempotencyKey: string;
  /** The last journal entry when the effect happened. */
  readonly atSeq: number;
}

export interface Definitions {
  readonly workflows: AnyWorkflow[];
  readonly automations?: AnyAutomation[];
  /** Tells somebody on call. */
  readonly alerts?: AnyAutomation;
}

/** An operation without who asks. */
export type Asked = Operation extends infer One ? (One extends unknown ? Omit<One, keyof OperatorCommand> : never) : never;

/** A workflow named `p`, which is what every world here starts. */
export function flow(run: WorkflowOptions<unknown, unknown>["run"], options: Partial<WorkflowOptions<unknown, unknown>> = {}): AnyWorkflow {
  return workflow({ name: "p", ...options, run });
}

/** Alarms in a row that find nothing to do, at one time of the clock, after which a run counts as spinning. */
const idleAlarms = 50;

/** Stands still, and fails when somebody listens for silence for ever: in memory that would hang the test. */
class ListeningClock extends ManualClock {
  #idles = 0;

  override idle(): Promise<void> {
    if (++this.#idles > 100_000) return Promise.reject(new Error("Somebody waits for a silence that never comes."));
    return super.idle();
  }

  turn(): void {
    this.#idles = 0;
  }
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
  readonly clock = new ListeningClock();
  readonly run: MemoryRun;
  readonly effects: Effect[] = [];
  readonly logs: string[] = [];
  /** The messages of the queue, in order; a test may take some out, or put some in twice. */
  readonly queue: StepMessage[] = [];
  /** True: in its next turn the process dies before anything of it is durable. */
  diesInTurn = false;
  /** Set: executors that take a message die with it, and nobody hears of the attempt again. */
  executorsDie = false;
  /** False: nobody consumes the queue. */
  consumes = true;
  /** False: the index never says that it has a summary. */
  confirms = true;
  #definitions: Registry;
  readonly #registry: Registry;
  readonly #random;
  #pendingIo: Io[] = [];
  #idleAlarms = { at: 0, count: 0 };
  #indexedUpTo = 0;
  turns = 0;

  constructor(definitions: Definitions, seed = 1) {
    this.#definitions = createRegistry(definitions);
    const current = (): Registry => this.#definitions;
    this.#registry = {
      workflow: (name, version) => current().workflow(name, version),
      get alerts() {
        return current().alerts;
      },
      automation: (name) => current().automation(name),
      get workflows() {
        return current().workflows;
      },
      get automations() {
        return current().automations;
      },
    };
    this.#random = seededRandom(seed);
    const line = (text: string): void => void this.logs.push(text);
    const log = { info: line, warn: line, error: line };
    this.run = new MemoryRun({ registry: this.#registry, clock: this.clock, random: this.#random, log, send: (message) => this.queue.push(message) });
  }

  /** A world in which a run of this workflow has begun. */
  static begin(definition: AnyWorkflow, more: Partial<StartCommand> & { readonly automations?: AnyAutomation[] } = {}): World {
    const { automations = [], ...command } = more;
    const world = new World({ workflows: [definition], automations });
    world.start(definition.name, null, command);
    return world;
  }

  /** Puts other code in place of what was deployed, and restarts the process as a deployment does. */
  deploy(definitions: Definitions): void {
    this.#definitions = createRegistry(definitions);
    this.evict();
  }

  /** Everything is durable, and memory is gone. */
  evict(): void {
    this.run.endTurn();
    this.run.crash();
  }

  get entries(): Entry[] {
    return this.run.journal.page(0, 100_000);
  }

  get kinds(): string[] {
    return this.entries.map((entry) => entry.kind);
  }

  get reason(): string | null {
    return this.run.engine.summary.reason?.code ?? null;
  }

  /** What the run threw, as recorded. */
  get error(): Error & { code?: unknown } {
    return this.output as Error;
  }

  sendEvent(name: string, payload: unknown = null, more: { id?: string; key?: string } = {}) {
    return this.run.engine.sendEvent({ eventId: more.id ?? `id-${this.#eventCount++}`, name, eventKey: more.key ?? null, payload: encode(payload) });
  }

  #eventCount = 0;

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

  start(workflow: string, input: unknown = null, more: Partial<StartCommand> = {}): void {
    this.run.engine.start({ ...this.#command(workflow, input), ...more });
  }

  #command(workflow: string, input: unknown): StartCommand {
    return {
      namespace: "default",
      runId: "r1",
      workflow,
      version: null,
      input: encode(input),
      attributes: {},
      delayMs: 0,
      trigger: "api",
      publicUrl: "http://segno.test",
    };
  }

  /** An operator asks something of the run. */
  operate(operation: Asked): void {
    this.run.engine.operate({ actor: "ann", reason: null, expectedSeq: null, ...operation });
  }

  /** The keys of all effects so far. */
  get effectKeys(): string[] {
    return this.effects.map((effect) => effect.key);
  }

  statusOf(key: string): string | undefined {
    return this.run.engine.state.steps.get(key)?.status;
  }

  /** Starts this world's run from what another one recorded: begun anew from a step, or undoing what it did from there on. */
  startFrom(source: World, origin: RunOrigin, more: Partial<StartCommand> = {}): boolean {
    return this.run.engine.startFrom({ ...this.#command(source.run.engine.summary.workflow, null), runId: "r2", ...more }, source.takenOver(origin));
  }

  /** What a new run takes over from this one, as it crosses from one object to the other. */
  takenOver(origin: RunOrigin): TakenOver {
    return structuredClone(takenOver({ ...this.historySource }, origin));
  }

  get historySource(): HistorySource {
    const nowhere = { url: (): string => "", approvalUrl: (): string => "" };
    return { state: this.run.engine.state, journal: this.run.journal, callbacks: nowhere };
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
    this.clock.turn();
    const before = this.run.journal.size;
    const io = this.#pendingIo.splice(0, 1).filter((it) => it.life === this.run.life);
    for (const it of io) it.complete();
    const message = this.consumes ? this.queue.shift() : undefined;
    if (message) void this.#consume(message);
    const fired = this.run.fireAlarm();
    await this.clock.idle();
    await this.clock.idle();
    if (this.diesInTurn) {
      this.run.crash();
      // Nobody has said that the message was taken, so the queue delivers it again.
      if (message) this.queue.unshift(message);
    }
    this.diesInTurn = false;
    this.run.endTurn();
    if (this.confirms) for (const summary of this.run.published.slice(this.#indexedUpTo)) this.run.engine.indexed(summary.seq);
    this.#indexedUpTo = this.run.published.length;
    this.run.endTurn();
    const grew = this.run.journal.size > before;
    this.#checkAlarm(fired && !grew && io.length === 0 && message === undefined);
    return fired || io.length > 0 || message !== undefined || grew || this.#pendingIo.length > 0 || (this.consumes && this.queue.length > 0);
  }

  /** Something durable points at every run that has not ended, and it does not fire over and over for nothing. */
  #checkAlarm(firedForNothing: boolean): void {
    const { engine, alarmAt } = this.run;
    if (engine.exists && !engine.state.ended && !Number.isFinite(alarmAt ?? Number.NaN) && !this.#needsNoAlarm()) {
      throw new Error(`The run is ${this.status} and its alarm is ${alarmAt}: nothing will ever wake it.`);
    }
    if (alarmAt !== null && !(alarmAt > 0)) throw new Error(`The platform refuses an alarm at ${alarmAt}.`);
    if (!firedForNothing) return;
    const now = this.clock.now();
    this.#idleAlarms = { at: now, count: this.#idleAlarms.at === now ? this.#idleAlarms.count + 1 : 1 };
    if (this.#idleAlarms.count > idleAlarms) throw new Error(`The run is ${this.status} and its alarm fires again and again at ${alarmAt} with nothing to do.`);
  }

  /** Only what somebody else brings can move the run: an event, a callback, a person. */
  #needsNoAlarm(): boolean {
    const { engine } = this.run;
    const open = [...engine.state.open.values()];
    if (engine.state.paused && !engine.busy) return true;
    return (
      !engine.busy &&
      !engine.state.blocked &&
      open.length > 0 &&
      open.every((step) => ["waiting", "paused", "parked"].includes(step.status) && step.wakeAt === null && (step.status !== "waiting" || step.wait !== null))
    );
  }

  /** Turns until nothing more happens by itself; code that seems to be busy is given `patience` turns. The clock stands still. */
  async rest(patience = 250): Promise<void> {
    for (let quiet = 0; quiet < (this.run.engine.busy ? patience : 3); ) quiet = (await this.turn()) ? 0 : quiet + 1;
  }

  /** Lets time pass, stopping at every alarm and timer on the way. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    await this.rest();
    while (this.clock.now() < until) {
      const next = this.#nextTime();
      this.clock.set(Math.min(until, Math.max(next, this.clock.now() + 1)));
      await this.rest();
    }
  }

  #nextTime(): number {
    return Math.min(this.run.alarmAt ?? Number.POSITIVE_INFINITY, this.clock.nextTimerAt() ?? Number.POSITIVE_INFINITY);
  }

  /** Runs until the run has ended, moving the clock to the next deadline whenever all is quiet. */
  async finish(options: { readonly maxTurns?: number; readonly onTurn?: () => void } = {}): Promise<void> {
    const lastTurn = this.turns + (options.maxTurns ?? 5000);
    for (let quiet = 0; this.turns < lastTurn; ) {
      const busy = await this.turn();
      options.onTurn?.();
      if (this.run.engine.state.ended) return;
      quiet = busy ? 0 : quiet + 1;
      if (quiet < 3) continue;
      const next = this.#nextTime();
      if (!Number.isFinite(next)) throw new Error(`The run is ${this.status} and nothing will ever wake it.`);
      this.clock.set(Math.max(next, this.clock.now()));
      quiet = 0;
    }
    throw new Error(`The run is still ${this.status} after ${this.turns} turns.`);
  }

  async #consume(message: StepMessage): Promise<void> {
    const claim = this.run.engine.claim(message);
    if (!claim.granted || this.executorsDie) return;
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

/**
 * Runs the finished journal's code once more, from the top, on a copy of the journal without its end.
 * @returns the world of the replay, ended.
 */
export async function replay(finished: World, definitions: Definitions): Promise<World> {
  const world = new World(definitions);
  world.clock.set(finished.clock.now());
  world.run.journal.append(
    finished.run.journal
      .page(0, 100_000)
      .filter((entry) => entry.kind !== "run.ended")
      .map(({ seq: _seq, ...entry }) => entry as Entry),
  );
  world.run.endTurn();
  world.run.engine.wake();
  await world.finish();
  return world;
}

import { DurableObject } from "cloudflare:workers";
import type { DecideCommand } from "#core/approval.ts";
import type { AuditRecord } from "#core/audit.ts";
import type {
  AttemptOutcome,
  AttemptRef,
  CallbackTerms,
  Claim,
  EventAccepted,
  EventCommand,
  Operation,
  Page,
  RunDetail,
  Settled,
  StartCommand,
  Started,
  StepRecord,
} from "#core/command.ts";
import type { Recorded, RunOrigin } from "#core/entry.ts";
import type { Answer, FaultRecord } from "#core/fault.ts";
import { Fault, faultCodeOf } from "#core/fault.ts";
import type { ForkPlan, TakenOver } from "#core/fork.ts";
import type { RunSummary } from "#core/run.ts";
import { type Clock, defaultSettings, type EnginePorts, type EngineSettings } from "#engine/ports.ts";
import { runAudit } from "#engine/run-audit.ts";
import { RunEngine } from "#engine/run-engine.ts";
import { runDetail, runForkPlan, runJournal, runStep, runSteps, takenOver, undoPlan } from "#engine/run-history.ts";
import type { Registry } from "#sdk/registry.ts";
import { callbackMint } from "./callback-token.ts";
import { consoleLog } from "./console-log.ts";
import { queueDispatcher, queuePublisher } from "./queues.ts";
import { SqliteJournal } from "./sqlite-journal.ts";
import { systemClock, systemRandom } from "./system.ts";

/** What a run object needs of the Worker's environment. */
export interface RunObjectEnv {
  readonly STEPS: Queue;
  readonly SUMMARIES: Queue;
  readonly SEGNO_SECRET?: string;
}

export interface RunObjectOptions {
  readonly registry: Registry;
  readonly settings?: Partial<EngineSettings>;
  readonly clock?: Clock;
}

/** How long one alarm hosts a busy run before it hands over to the next: well below the 15 minutes at which the platform would cut it. */
const hostMs = 10 * 60_000;

/**
 * The Durable Object of one run: it gives the engine its storage, its alarm and its callers, and holds no rule of its own. Every method answers a
 * fault as a value, for a thrown one would lose its class on the way.
 */
export abstract class BaseRunObject extends DurableObject<RunObjectEnv> {
  protected abstract readonly options: RunObjectOptions;
  #engine: RunEngine | null = null;

  /** Starts the run; with `waitMs`, answers when it has ended or the time is over, whichever is first. */
  start(command: StartCommand, waitMs: number): Promise<Answer<Started>> {
    return this.#answer(async (engine) => {
      const created = engine.start(command);
      await this.#host(engine, waitMs);
      return { ...runDetail(this.#source(engine), () => engine.summary), created };
    });
  }

  sendEvent(command: EventCommand): Promise<Answer<EventAccepted>> {
    return this.#answer(async (engine) => {
      const accepted = await engine.sendEvent(command);
      await this.#host(engine, 0);
      return accepted;
    });
  }

  callbackTerms(key: string): Promise<Answer<CallbackTerms>> {
    return this.#answer((engine) => engine.callbackTerms(key));
  }

  callback(key: string, payload: string): Promise<Answer<RunSummary>> {
    return this.#answer(async (engine) => {
      await engine.callback(key, payload);
      await this.#host(engine, 0);
      return engine.summary;
    });
  }

  decide(command: DecideCommand): Promise<Answer<RunSummary>> {
    return this.#answer(async (engine) => {
      await engine.decide(command);
      await this.#host(engine, 0);
      return engine.summary;
    });
  }

  operate(operation: Operation): Promise<Answer<RunSummary>> {
    return this.#answer(async (engine) => {
      engine.operate(operation);
      await this.#host(engine, 0);
      return engine.summary;
    });
  }

  /** The steps that a rollback from `from` would undo, in that order. */
  undoPlan(from: string | null): Promise<Answer<readonly string[]>> {
    return this.#answer((engine) => undoPlan(this.#source(engine), from));
  }

  forkPlan(from: string): Promise<Answer<ForkPlan>> {
    return this.#answer((engine) => runForkPlan(this.#source(engine), from));
  }

  /** What a new run takes over from this one. */
  takeOver(origin: RunOrigin): Promise<Answer<TakenOver>> {
    return this.#answer((engine) => takenOver(this.#source(engine), origin));
  }

  startFrom(command: StartCommand, taken: TakenOver): Promise<Answer<Started>> {
    return this.#answer(async (engine) => {
      const created = engine.startFrom(command, taken);
      await this.#host(engine, 0);
      return { ...runDetail(this.#source(engine), () => engine.summary), created };
    });
  }

  claim(ref: AttemptRef): Promise<Answer<Claim>> {
    return this.#answer((engine) => engine.claim(ref));
  }

  renew(ref: AttemptRef): Promise<Answer<boolean>> {
    return this.#answer((engine) => engine.renew(ref));
  }

  settle(ref: AttemptRef, outcome: AttemptOutcome): Promise<Answer<Settled>> {
    return this.#answer(async (engine) => {
      const settled = engine.settle(ref, outcome);
      await this.#host(engine, 0);
      return settled;
    });
  }

  /** The index has the summary of this `seq`. False: there is no such run, any more or at all. */
  indexed(seq: number): Promise<Answer<boolean>> {
    return this.#answer((engine) => {
      if (engine.exists) engine.indexed(seq);
      return engine.exists;
    });
  }

  /** Forgets the run, its journal and its alarm; one that has not ended is terminated first. Its id is free again. A repeat finds no run. */
  remove(actor: string): Promise<Answer<null>> {
    return this.#answer(async (engine) => {
      if (!engine.exists) throw new Fault("run_not_found");
      if (!engine.state.ended) engine.operate({ action: "terminate", actor, reason: "deleted", expectedSeq: null });
      engine.write();
      engine.drop();
      this.#engine = null;
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      return null;
    });
  }

  poke(): Promise<Answer<null>> {
    return this.#answer(async (engine) => {
      engine.poke();
      await this.#host(engine, 0);
      return null;
    });
  }

  /** The run whole; with `waitMs`, when it has ended or the time is over. */
  detail(waitMs: number): Promise<Answer<RunDetail>> {
    return this.#answer(async (engine) => {
      if (engine.exists && waitMs > 0) await this.#host(engine, waitMs);
      return runDetail(this.#source(engine), () => engine.summary);
    });
  }

  steps(after: number, limit: number): Promise<Answer<Page<StepRecord>>> {
    return this.#answer((engine) => runSteps(this.#source(engine), after, limit));
  }

  step(key: string): Promise<Answer<StepRecord>> {
    return this.#answer((engine) => runStep(this.#source(engine), key));
  }

  journal(after: number, limit: number): Promise<Answer<Page<Recorded>>> {
    return this.#answer((engine) => runJournal(this.#source(engine), after, limit));
  }

  /** What people did to the run. */
  audit(after: number, limit: number): Promise<Answer<Page<AuditRecord>>> {
    return this.#answer((engine) => runAudit(this.#source(engine), after, limit));
  }

  override async alarm(): Promise<void> {
    try {
      const engine = this.#load();
      engine.wake();
      await engine.quiet(hostMs);
      engine.hostByAlarm();
    } catch (error) {
      // The platform deletes an alarm that throws seven times. This one never throws, and never runs out.
      consoleLog({ object: this.ctx.id.name ?? this.ctx.id.toString() }).error("The alarm failed; it is set again.", { error: String(error) });
      await this.ctx.storage.setAlarm(this.#clock.now() + 30_000);
    }
  }

  get #clock(): Clock {
    return this.options.clock ?? systemClock;
  }

  #load(): RunEngine {
    this.#engine ??= new RunEngine(this.#ports(new SqliteJournal(this.ctx.storage)));
    return this.#engine;
  }

  #ports(journal: SqliteJournal): EnginePorts {
    const { ctx, env } = this;
    return {
      journal,
      alarm: { set: (at) => void ctx.storage.setAlarm(at), clear: () => void ctx.storage.deleteAlarm() },
      clock: this.#clock,
      random: systemRandom,
      dispatcher: queueDispatcher(env.STEPS),
      publisher: queuePublisher(env.SUMMARIES),
      callbacks: callbackMint(env.SEGNO_SECRET),
      registry: this.options.registry,
      settings: { ...defaultSettings, ...this.options.settings },
      abort: (error) => ctx.abort(`The journal refused an entry: ${String(error)}`),
      log: consoleLog({ object: ctx.id.name ?? ctx.id.toString() }),
    };
  }

  #source(engine: RunEngine) {
    return { state: engine.state, journal: engine.journal, callbacks: callbackMint(this.env.SEGNO_SECRET) };
  }

  /** Keeps the run alive: as long as the caller waits by the call itself, afterwards by the alarm. */
  async #host(engine: RunEngine, waitMs: number): Promise<void> {
    if (waitMs > 0) await engine.end(waitMs);
    else await engine.quiet(0);
    engine.hostByAlarm();
  }

  async #answer<T>(command: (engine: RunEngine) => T | Promise<T>): Promise<Answer<T>> {
    try {
      const isFirstTouch = this.#engine === null;
      const engine = this.#load();
      if (isFirstTouch && engine.exists) engine.repair(await this.ctx.storage.getAlarm());
      const value = await command(engine);
      // One that was removed has nothing more to write.
      if (this.#engine === engine) engine.write();
      return { ok: true, value };
    } catch (error) {
      const fault = faultRecord(error);
      // A refusal, too, tells of what was recorded.
      this.#engine?.write();
      return { ok: false, fault };
    }
  }
}

/** The class to export from the Worker, over what is deployed with it. */
export function runObjectClass(options: RunObjectOptions) {
  return class RunObject extends BaseRunObject {
    protected override readonly options = options;
  };
}

function faultRecord(error: unknown): FaultRecord {
  const code = faultCodeOf(error);
  if (code === null) throw error;
  return { code, message: (error as Fault).message, details: (error as Fault).details ?? {} };
}

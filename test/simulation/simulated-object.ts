import type { StepMessage } from "#core/command.ts";
import type { Entry, Recorded, RunEnded } from "#core/entry.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import { defaultSettings, type EnginePorts, type Journal } from "#engine/ports.ts";
import { RunEngine } from "#engine/run-engine.ts";
import type { Registry } from "#sdk/registry.ts";
import type { AnyWorkflow } from "#sdk/workflow.ts";
import { perform } from "./actions.ts";
import { Auditor, type Evidence } from "./auditor.ts";
import { Interpreter, type Stage } from "./interpret.ts";
import type { Answered } from "./model.ts";
import { checkAlarm, checkFold } from "./oracles.ts";
import type { Leaf, Outside } from "./program.ts";
import { deliver } from "./queue.ts";
import { type Answer, type Call, refusalOf } from "./rpc.ts";
import { loseAlarm } from "./sweeper.ts";
import { textHash } from "./text-hash.ts";
import { broken, Violation } from "./violation.ts";
import type { Work } from "./work.ts";
import type { World } from "./world.ts";

const silentLog = { info: () => {}, warn: () => {}, error: () => {} };

/** An execution of the code, as it told of itself. */
interface Pass {
  readonly life: number;
  readonly isOther: boolean;
  /** Calls and results, hashed, in the order in which the code saw them. */
  readonly story: number[];
  readonly texts: string[];
  checked: number;
  returned: string | null;
  hasThrown: boolean;
  /** It awaits what is no step. */
  waitsOutside: boolean;
}

/** Nothing has happened for so many alarms in a row: the run spins. */
const idleAlarms = 30;

/** Code that has awaited what is no step through so many alarms in a row is stalled, and its run must say so. */
const stalledAlarms = 22;

/**
 * One Durable Object: a journal and an alarm that last, and an engine that comes and goes. All writes of one turn become durable together; what the turn
 * sends leaves only then.
 */
export class SimulatedObject {
  readonly world: World;
  readonly run: string;
  readonly entries: Recorded[] = [];
  readonly auditor: Auditor;
  /** What the world answered, by key and attempt. */
  readonly answers = new Map<string, Answered>();
  readonly leaves = new Map<string, Leaf>();
  readonly callbacks = new Set<string>();
  readonly grants = new Set<string>();
  readonly performed = new Set<string>();
  /** Who is at work on its steps. */
  readonly atWork = new Set<Work>();
  readonly acked: { readonly what: string; readonly id: string }[] = [];
  engine: RunEngine | null = null;
  life = 0;
  alarmAt: number | null = null;
  indexedSeq = 0;
  durable = { size: 0, alarmAt: null as number | null, indexedSeq: 0 };
  /** The alarm does not fire before this, in true time. */
  alarmNotBefore = 0;
  isAlarmLost = false;
  /** The host's time when the alarm was set last, and whether it was in this turn. */
  alarmSetAt = 0;
  /** The host's time of the last commit while code executed. */
  leasedAt = 0;
  hasSetAlarm = false;
  /** The handler of the alarm is at work. */
  isInAlarm = false;
  isDirty = false;
  /** When the run's end was written, true time. */
  endedAt: number | null = null;
  /** The last entry before the turn that became durable last. */
  turnBeganAt = 0;
  readonly definition: AnyWorkflow;
  #firedAt: number | null = null;
  #alarmFailures = 0;
  #idleAlarms = 0;
  #lastAlarm = { at: 0, size: 0, sent: 0 };
  #sent = 0;
  /** Those that were dropped in the turn that is not over. */
  #aborted: RunEngine[] = [];
  #gated: (() => void)[] = [];
  #calls = new Set<(answer: { readonly type: "unknown" }) => void>();
  pass: Pass | null = null;
  /** What the code saw as far as that is durable: every later execution must see the same. */
  readonly #story: number[] = [];
  readonly #storyTexts: string[] = [];
  /** When what the code awaits comes, true time. */
  readonly #outsideAt = new Map<number, number>();
  /** Alarms in a row through which the code has done nothing but await what is no step. */
  #stalledAlarms = 0;
  #stalledPass: Pass | null = null;
  #stalledSize = 0;
  readonly #registry: Registry;

  constructor(world: World, run: string) {
    this.world = world;
    this.run = run;
    this.definition = this.#define();
    this.auditor = new Auditor(new ObjectEvidence(this));
    this.#registry = {
      workflow: () => (world.code === "missing" ? null : this.definition),
      automation: (name) => world.automations.get(name) ?? null,
      alerts: world.alerts,
      workflows: [this.definition],
      automations: [],
    };
  }

  get model() {
    return this.auditor.model;
  }

  /** The true time at which the alarm fires. */
  get alarmDue(): number {
    if (this.durable.alarmAt === null || this.isInAlarm) return Number.POSITIVE_INFINITY;
    return Math.max(this.durable.alarmAt - this.world.skew, this.alarmNotBefore);
  }

  get isBusy(): boolean {
    return this.engine?.busy ?? false;
  }

  // Life and death.

  /** The process dies: what was not durable is gone, and what its code still does reaches nothing. */
  crash(): void {
    const { world } = this;
    if (this.isInAlarm) this.alarmNotBefore = world.time + 1;
    this.#forget();
    world.counts.crashes++;
    const calls = [...this.#calls];
    this.#calls.clear();
    for (const unknown of calls) world.after(1, "an answer that never comes", () => unknown({ type: "unknown" }));
  }

  #forget(): void {
    this.life++;
    this.engine?.drop();
    this.engine = null;
    this.#gated = [];
    if (!this.model.ended) this.endedAt = null;
    this.entries.length = this.durable.size;
    this.alarmAt = this.durable.alarmAt;
    this.indexedSeq = this.durable.indexedSeq;
    this.pass = null;
    this.isInAlarm = false;
    this.isDirty = false;
    this.hasSetAlarm = false;
  }

  /** The journal refused an entry. What runs in this turn runs to the turn's end, and must know by itself that it is nobody any more. */
  #abort(life: number): void {
    if (life !== this.life) return;
    const wasInAlarm = this.isInAlarm;
    if (this.engine) this.#aborted.push(this.engine);
    this.engine = null;
    this.crash();
    this.isDirty = true;
    if (!wasInAlarm) return;
    this.#alarmFailures++;
    this.alarmNotBefore = this.world.time + 2000 * 2 ** (this.#alarmFailures - 1);
    // The platform gives an alarm up whose handler has failed again and again.
    if (this.#alarmFailures > 6) loseAlarm(this);
  }

  #load(isByAlarm: boolean): RunEngine {
    if (this.engine) return this.engine;
    if (this.entries.length > 0) this.world.counts.replays++;
    const engine = new RunEngine(this.#ports(this.life));
    this.engine = engine;
    checkFold(this, engine);
    if (!isByAlarm && engine.exists) engine.repair(this.alarmAt);
    return engine;
  }

  /** Loads an ended run anew as it was before its end, only to see what its code does then: no turn of it is ever over, so nothing leaves. */
  beginReplay(): { readonly engine: RunEngine; readonly ended: RunEnded } {
    const { world } = this;
    this.#forget();
    const ended = this.entries.pop() as Recorded<RunEnded>;
    world.skew = (this.entries.at(-1)?.at ?? 0) - world.time;
    this.engine = new RunEngine(this.#ports(this.life));
    return { engine: this.engine, ended };
  }

  /** True: the replay has told the whole story. */
  checkReplayedStory(): boolean {
    const story = this.pass?.story ?? [];
    for (let at = 0; at < Math.min(story.length, this.#story.length); at++) {
      if (story[at] !== this.#story[at])
        broken("O8", `in a full replay the code sees "${this.pass?.texts[at] ?? at}" where it saw "${this.#storyTexts[at] ?? at}" before`);
    }
    return story.length >= this.#story.length;
  }

  // What comes in.

  receive<T>(it: Call<T>, answer: (answer: Answer<T>) => void): void {
    const { world, life } = this;
    if (world.lines) world.trace(`${this.run} <- ${it.name}`);
    this.#calls.add(answer);
    // Each touch is looked at when its turn is over.
    this.isDirty = true;
    const reply = (it: Answer<T>): void => {
      if (life !== this.life) return;
      this.afterCommit(() => {
        if (!this.#calls.delete(answer)) return;
        if (world.lines && it.type === "refused") world.trace(`${this.run} refuses: ${it.code}`);
        answer(it);
      });
    };
    const fail = (error: unknown): void => {
      if (life !== this.life) return;
      const code = refusalOf(error);
      if (code === null) return world.fail(error);
      try {
        this.engine?.write();
      } catch {
        return; // Storage refused it, and the object is gone: nobody is answered.
      }
      reply({ type: "refused", code });
    };
    try {
      const engine = this.#load(false);
      const done = (value: T): void => {
        if (life !== this.life) return;
        try {
          engine.write();
        } catch (error) {
          return fail(error);
        }
        if (it.isHosted) this.#host(engine, life);
        reply({ type: "ok", value });
      };
      const result = it.command(engine);
      if (result instanceof Promise) result.then(done, fail);
      else done(result);
    } catch (error) {
      fail(error);
    }
  }

  /** Nobody waits for a busy object any more but its own alarm. */
  #host(engine: RunEngine, life: number): void {
    void engine.quiet(0).then(() => this.#guarded(() => life === this.life && engine.hostByAlarm()));
  }

  fireAlarm(): void {
    const { world } = this;
    const incident = world.take("alarm");
    if (incident) world.count(incident.what);
    if (incident?.what === "alarm_late") {
      this.alarmNotBefore = world.time + [1000, 70_000, 600_000, 7_200_000][incident.a % 4]!;
      return;
    }
    if (incident?.what === "alarm_lost") return loseAlarm(this);
    if (incident?.what === "alarm_twice") world.after(incident.a % 50, "alarm again", () => this.handleAlarm());
    this.#watchForSpinning();
    this.#watchForStalling();
    if (world.lines) world.trace(`${this.run} alarm`);
    this.handleAlarm();
  }

  /** Also for an alarm that fires though none was due. */
  handleAlarm(): void {
    if (this.isInAlarm) return;
    const { life } = this;
    this.#firedAt = this.alarmAt;
    this.alarmAt = null;
    this.isInAlarm = true;
    this.isDirty = true;
    this.#guarded(() => {
      const engine = this.#load(true);
      engine.wake();
      void engine.quiet(600_000).then(() => {
        if (life !== this.life) return;
        this.isInAlarm = false;
        this.#firedAt = null;
        this.#alarmFailures = 0;
        this.isDirty = true;
        engine.hostByAlarm();
      });
    });
  }

  /** What throws in an object that was dropped for it is nobody's concern. */
  #guarded(work: () => void): void {
    const { life } = this;
    try {
      work();
    } catch (error) {
      if (life === this.life) this.world.fail(error);
    }
  }

  #watchForSpinning(): void {
    const { world } = this;
    const last = this.#lastAlarm;
    const isIdle = last.size === this.durable.size && last.sent === this.#sent && world.time - last.at < 1000;
    this.#idleAlarms = isIdle ? this.#idleAlarms + 1 : 0;
    this.#lastAlarm = { at: world.time, size: this.durable.size, sent: this.#sent };
    if (!(this.#idleAlarms < idleAlarms)) broken("O13", `the alarm fires over and over with nothing to do (${this.engine?.summary.status})`);
  }

  #watchForStalling(): void {
    const { pass } = this;
    const isSame = pass?.waitsOutside === true && pass === this.#stalledPass && this.#lastAlarm.size === this.#stalledSize;
    this.#stalledAlarms = isSame ? this.#stalledAlarms + 1 : 0;
    this.#stalledPass = pass;
    this.#stalledSize = this.#lastAlarm.size;
    if (this.#stalledAlarms > stalledAlarms) broken("O13", "the code has been waiting for what is no step, and nobody is told");
  }

  // What goes out.

  /** Does `output` when this turn's writes are durable; a crash before drops it. */
  afterCommit(output: () => void): void {
    this.#gated.push(output);
    this.isDirty = true;
  }

  /** Makes the turn's writes durable, holds them to every promise, and lets its outputs go. True: something went out, or the object died. */
  endTurn(): boolean {
    const { world, entries } = this;
    this.isDirty = false;
    for (const engine of this.#aborted.splice(0)) engine.drop();
    const hasGrown = entries.length > this.durable.size;
    const incident = hasGrown ? world.take("turn") : null;
    if (incident) world.count(incident.what);
    if (incident?.what === "crash_before") {
      this.crash();
      return true;
    }
    this.#commit(hasGrown);
    const outputs = this.#gated;
    this.#gated = [];
    if (incident?.what !== "crash_after") for (const output of outputs) output();
    if (incident) this.crash();
    return incident !== null || outputs.length > 0;
  }

  #commit(hasGrown: boolean): void {
    const { world, entries, durable } = this;
    world.mix(entries.length);
    if (hasGrown) {
      world.counts.commits++;
      for (let at = durable.size; at < entries.length; at++) this.#note(entries[at] as Recorded);
      this.auditor.read(entries, entries.length);
    }
    if (this.alarmAt !== null) this.isAlarmLost = false;
    this.turnBeganAt = durable.size;
    durable.size = entries.length;
    durable.alarmAt = this.isInAlarm && this.alarmAt === null ? this.#firedAt : this.alarmAt;
    durable.indexedSeq = this.indexedSeq;
    this.#checkStory();
    if (this.engine) checkAlarm(this, this.engine);
    this.hasSetAlarm = false;
  }

  #note(entry: Recorded): void {
    const { world } = this;
    if (entry.kind === "step.completed" || entry.kind === "step.failed") world.counts.steps++;
    world.mix(textHash(entry.kind));
    if (!world.lines) return;
    const { seq, kind, at: _at, value, ...rest } = { value: null, ...entry };
    const shown = Object.entries(rest).filter(
      ([name, field]) => field !== null && name !== "policy" && field !== false && !(Array.isArray(field) && field.length === 0),
    );
    const fields = shown.map(([name, field]) => `${name}=${typeof field === "object" ? JSON.stringify(field) : field}`).join(" ");
    world.trace(`${this.run} #${seq} ${kind} ${fields}${value === null ? "" : ` = ${String(value).slice(0, 80)}`}`);
  }

  // The code.

  #define(): AnyWorkflow {
    const { world } = this;
    const { timeoutMs, expectedMs } = world.plan.options;
    const options = {
      name: "p",
      ...(timeoutMs === null ? {} : { timeout: timeoutMs }),
      ...(expectedMs === null ? {} : { expectedDuration: expectedMs }),
      attributes: () => ({ seed: world.plan.seed }),
      run: ({ step, run }: Parameters<AnyWorkflow["options"]["run"]>[0]) => {
        const isOther = world.code === "wrong";
        const pass: Pass = { life: this.life, isOther, story: [], texts: [], checked: 0, returned: null, hasThrown: false, waitsOutside: false };
        this.pass = pass;
        const interpreter = new Interpreter(this.#stage(pass, run.createdAt.getTime()), step);
        const outcome = isOther ? interpreter.runOther(world.plan.program) : interpreter.run(world.plan.program);
        return outcome.then(
          (value) => {
            pass.returned = JSON.stringify([value]);
            return value;
          },
          (error: unknown) => {
            pass.hasThrown = true;
            throw error;
          },
        );
      },
    };
    return { type: "workflow", name: "p", version: "1", options };
  }

  #stage(pass: Pass, createdAt: number): Stage {
    const { world } = this;
    const tell = (text: string): void => {
      if (pass.life !== this.life) return;
      pass.story.push(textHash(text));
      if (world.lines) pass.texts.push(text);
    };
    return {
      run: this.run,
      createdAt,
      called: (key, kind, leaf) => {
        tell(`call ${key} ${kind}`);
        if (!pass.isOther) this.leaves.set(key, leaf);
      },
      saw: (key, digest) => {
        world.check(!pass.isOther || pass.life !== this.life, "determinism", () => `code that is not the run's got a result of ${key}: ${digest}`);
        tell(`${key}: ${digest}`);
      },
      act: (attempt) => perform(world, attempt),
      outside: (wait) => this.#outside(pass, wait),
      automationOf: (act) => world.automations.get(`r${act.id}`)!,
      notify: world.notify,
    };
  }

  /** What comes from outside comes once, and is there for every later execution. */
  #outside(pass: Pass, { id, ms }: Outside): Promise<void> {
    const { world } = this;
    const at = this.#outsideAt.get(id) ?? world.time + ms;
    this.#outsideAt.set(id, at);
    if (at <= world.time) return Promise.resolve();
    pass.waitsOutside = true;
    return new Promise((resolve) => {
      world.after(at - world.time, "from outside", () => {
        if (pass.life !== this.life) return;
        pass.waitsOutside = false;
        resolve();
      });
    });
  }

  /** What this execution saw is what all others saw. */
  #checkStory(): void {
    const pass = this.pass;
    // What is recorded and not yet written may be lost, and with it what the code saw of it.
    if (!pass || pass.isOther || this.engine?.state.lastSeq !== this.entries.length) return;
    for (; pass.checked < pass.story.length; pass.checked++) {
      const at = pass.checked;
      if (at === this.#story.length) {
        this.#story.push(pass.story[at] as number);
        if (this.world.lines) this.#storyTexts.push(pass.texts[at] as string);
      } else {
        if (pass.story[at] !== this.#story[at]) broken("O8", `the code saw "${pass.texts[at] ?? at}" where it saw "${this.#storyTexts[at] ?? at}" before`);
      }
    }
  }

  // The ports.

  #ports(life: number): EnginePorts {
    const { world } = this;
    const isAlive = (): boolean => life === this.life;
    return {
      journal: this.#journal(isAlive),
      alarm: {
        set: (at) => {
          if (!isAlive()) return;
          this.alarmAt = at;
          this.alarmSetAt = world.hostNow;
          this.hasSetAlarm = true;
          this.isDirty = true;
        },
        clear: () => {
          if (!isAlive()) return;
          this.alarmAt = null;
          this.isDirty = true;
        },
      },
      clock: {
        now: () => world.hostNow,
        idle: () => new Promise((resolve) => void world.idlers.push(resolve)),
        timer: (at, fire) =>
          world.after(Math.max(0, at - world.hostNow), "timer", () => {
            if (isAlive()) this.#guarded(fire);
          }),
      },
      random: world.engineChance,
      dispatcher: { send: (messages) => this.#send(messages, isAlive) },
      publisher: { publish: (summary) => this.#publish(summary, isAlive) },
      callbacks: { url: (_origin, claims) => `cb/${claims.runId}/${claims.key}`, approvalUrl: (_origin, claims) => `ok/${claims.key}/${claims.assignee}` },
      registry: this.#registry,
      settings: defaultSettings,
      abort: () => this.#abort(life),
      log: silentLog,
    };
  }

  #journal(isAlive: () => boolean): Journal {
    const { world, entries } = this;
    return {
      load: () => entries.map(light),
      page: (after, limit) => entries.slice(after, after + limit),
      value: (seq) => (entries[seq - 1] as Recorded & { value: string }).value,
      append: (added) => {
        if (!isAlive()) throw new Error("The object is gone.");
        this.#mayAppend();
        if (entries.at(-1)?.kind === "run.ended") world.fail(new Violation("O4", `${added[0]?.kind} after the end of the run`));
        for (const entry of added) entries.push({ ...entry, seq: entries.length + 1 } as Recorded);
        if (added.at(-1)?.kind === "run.ended") this.endedAt = world.time;
        this.isDirty = true;
        return entries.length;
      },
      indexedSeq: () => this.indexedSeq,
      setIndexedSeq: (seq) => {
        if (!isAlive()) return;
        const row = world.index.rows.get(this.run);
        world.check(row !== undefined && row.seq >= seq, "O7", () => `the index is said to have ${seq}; it has ${row?.seq}`);
        this.indexedSeq = seq;
        this.isDirty = true;
      },
    };
  }

  #mayAppend(): void {
    const { world } = this;
    const incident = world.take("append");
    if (incident) {
      world.count(incident.what);
      world.fullUntil = world.time + [0, 1000, 30_000, 100_000][incident.a % 4]!;
      throw new Error("Storage is full.");
    }
    if (world.time < world.fullUntil && !world.calm) throw new Error("Storage is full.");
  }

  #send(messages: readonly StepMessage[], isAlive: () => boolean): Promise<void> {
    const { world } = this;
    const incident = world.take("send");
    if (incident) {
      world.count(incident.what);
      return Promise.reject(new Error("The queue refuses messages."));
    }
    return this.#gate(isAlive, () => {
      this.#sent++;
      for (const message of messages) deliver(this, message);
    });
  }

  #publish(summary: RunSummary, isAlive: () => boolean): Promise<void> {
    return this.#gate(isAlive, () => {
      this.#sent++;
      this.world.index.receive(summary);
    });
  }

  #gate(isAlive: () => boolean, output: () => void): Promise<void> {
    return new Promise((resolve) => {
      if (!isAlive()) return;
      this.afterCommit(() => {
        output();
        resolve();
      });
    });
  }
}

/** What the world knows of one object. */
class ObjectEvidence implements Evidence {
  readonly leaseMs = defaultSettings.leaseMs;
  readonly #object: SimulatedObject;

  constructor(object: SimulatedObject) {
    this.#object = object;
  }

  get life(): number {
    return this.#object.life;
  }

  get latestHostNow(): number {
    return this.#object.world.latestHostNow;
  }

  get wasSetBack(): boolean {
    return this.#object.world.wasSetBack;
  }

  get code(): World["code"] {
    return this.#object.world.code;
  }

  answered(key: string, attempt: number): Answered | undefined {
    return this.#object.answers.get(`${key}/${attempt}`);
  }

  leafOf(key: string): Leaf | undefined {
    return this.#object.leaves.get(key);
  }

  returned(): string | null {
    return this.#object.pass?.returned ?? null;
  }

  hasThrown(): boolean {
    return this.#object.pass?.hasThrown ?? false;
  }

  waitsOutside(): boolean {
    return this.#object.pass?.waitsOutside ?? false;
  }

  calledBack(key: string, payload: string): boolean {
    return this.#object.callbacks.has(`${key}|${payload}`);
  }
}

/** As the journal loads it: without large values. */
function light(entry: Recorded): Recorded {
  if (!("value" in entry) || entry.value === null || entry.value.length <= limits.eagerValueBytes) return entry;
  return { ...(entry as Entry), seq: entry.seq, value: null, valueOmitted: true } as unknown as Recorded;
}

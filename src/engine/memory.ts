import type { StepMessage } from "#core/command.ts";
import type { Entry, Recorded } from "#core/entry.ts";
import { invariant } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import { type Encoded, utf8Bytes } from "#core/value.ts";
import type { Log } from "#sdk/log.ts";
import type { Registry } from "#sdk/registry.ts";
import { type Clock, defaultSettings, type EnginePorts, type EngineSettings, type Journal, type Random } from "./ports.ts";
import { RunEngine } from "./run-engine.ts";

/** The ports in memory: for tests, and for simulating what no real platform can be made to do on demand. */

export class MemoryJournal implements Journal {
  readonly #entries: Recorded[] = [];
  #indexedSeq = 0;

  load(): Recorded[] {
    return this.#entries.map((entry) => {
      if (!("value" in entry) || entry.value === null || utf8Bytes(entry.value) <= limits.eagerValueBytes) return { ...entry };
      return { ...entry, value: null, valueOmitted: true } as unknown as Recorded;
    });
  }

  page(after: number, limit: number): Recorded[] {
    return this.#entries.slice(after, after + limit).map((entry) => ({ ...entry }));
  }

  value(seq: number): Encoded {
    const entry = this.#entries[seq - 1];
    invariant(entry && "value" in entry && entry.value !== null, `Entry ${seq} has no value.`);
    return entry.value;
  }

  append(entries: readonly Entry[]): number {
    invariant(this.#entries.at(-1)?.kind !== "run.ended", "The journal is closed; the run has ended.");
    const early = entries.slice(0, -1).some((entry) => entry.kind === "run.ended");
    invariant(!early, "Nothing comes after the end of a run.");
    for (const entry of entries) this.#entries.push({ ...entry, seq: this.#entries.length + 1 });
    return this.#entries.length;
  }

  indexedSeq(): number {
    return this.#indexedSeq;
  }

  setIndexedSeq(seq: number): void {
    this.#indexedSeq = seq;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Forgets what a crash took: every entry after the first `size`. */
  cutTo(size: number): void {
    this.#entries.length = size;
  }
}

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  timer(at: number, fire: () => void): () => void {
    const timer = { at, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Memory has no event loop of its own to turn; enough microtasks are as good, since nothing else is under way. */
  async idle(): Promise<void> {
    for (let hops = 0; hops < 100; hops++) await null;
  }

  /** When the next timer is due; null: none is set. */
  nextTimerAt(): number | null {
    const times = [...this.#timers].map((timer) => timer.at);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Moves the clock, by however much and in either direction, and fires what is due. */
  set(now: number): void {
    this.#now = now;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.fire();
    }
  }
}

/** Random numbers that a seed repeats (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const number = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const hex = (digits: number): string => Array.from({ length: digits }, () => Math.floor(number() * 16).toString(16)).join("");
  return { number, uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}` };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

export interface MemoryRunOptions {
  readonly registry: Registry;
  readonly clock: ManualClock;
  readonly random?: Random;
  readonly settings?: Partial<EngineSettings>;
  readonly log?: Log;
  /** Where step messages go. Default: they are collected in `messages`. */
  readonly send?: (message: StepMessage) => void;
}

/**
 * One run as its Durable Object would hold it: a journal and an alarm that last, and an engine that comes and goes. As on the platform, all writes
 * of one turn become durable together, and what the turn sends leaves only then: call `endTurn` where the event loop would turn.
 */
export class MemoryRun {
  readonly journal = new MemoryJournal();
  readonly published: RunSummary[] = [];
  readonly messages: StepMessage[] = [];
  readonly #options: MemoryRunOptions;
  #engine: RunEngine | null = null;
  #life = 0;
  #alarmAt: number | null = null;
  #durable = { size: 0, alarmAt: null as number | null, indexedSeq: 0 };
  #gated: (() => void)[] = [];

  constructor(options: MemoryRunOptions) {
    this.#options = options;
  }

  get engine(): RunEngine {
    this.#engine ??= new RunEngine(this.#ports());
    return this.#engine;
  }

  get alarmAt(): number | null {
    return this.#alarmAt;
  }

  /** Counts the object's lives, so that effects of one that is gone can be told. */
  get life(): number {
    return this.#life;
  }

  /** Does `output` when this turn's writes are durable; a crash before drops it. The platform's output gate. */
  afterCommit(output: () => void): void {
    this.#gated.push(output);
  }

  /** Makes the turn's writes durable and lets its outputs go. */
  endTurn(): void {
    this.#durable = { size: this.journal.size, alarmAt: this.#alarmAt, indexedSeq: this.journal.indexedSeq() };
    for (const output of this.#gated.splice(0)) output();
  }

  /** The process dies: what was not durable is gone, with all that memory held, and what its code still does reaches nothing. */
  crash(): void {
    this.#life++;
    this.#engine?.drop();
    this.#engine = null;
    this.#gated = [];
    this.journal.cutTo(this.#durable.size);
    this.journal.setIndexedSeq(this.#durable.indexedSeq);
    this.#alarmAt = this.#durable.alarmAt;
  }

  /** Fires the alarm if it is due. As on the platform it is gone afterwards, unless the handler has set it again. */
  fireAlarm(): boolean {
    if (this.#alarmAt === null || this.#alarmAt > this.#options.clock.now()) return false;
    this.#alarmAt = null;
    this.engine.wake();
    return true;
  }

  #ports(): EnginePorts {
    const life = this.#life;
    const { registry, clock, settings, random = seededRandom(1), log = silentLog } = this.#options;
    const alive = (): boolean => life === this.#life;
    return {
      journal: this.#journalOf(alive),
      alarm: {
        set: (at) => {
          if (alive()) this.#alarmAt = at;
        },
        clear: () => {
          if (alive()) this.#alarmAt = null;
        },
      },
      clock: { now: () => clock.now(), idle: () => clock.idle(), timer: (at, fire) => clock.timer(at, () => alive() && fire()) },
      random,
      dispatcher: { send: (messages) => this.#gate(alive, () => messages.forEach((message) => void this.#deliver(message))) },
      publisher: { publish: (summary) => this.#gate(alive, () => this.published.push(summary)) },
      callbacks: {
        url: (origin, claims) => `${origin}/callbacks/${encodeURIComponent(claims.key)}`,
        approvalUrl: (origin, claims) => `${origin}/approvals/${encodeURIComponent(claims.key)}/${encodeURIComponent(claims.assignee)}`,
      },
      registry,
      settings: { ...defaultSettings, ...settings },
      abort: () => {
        if (alive()) this.crash();
      },
      log,
    };
  }

  #journalOf(alive: () => boolean): Journal {
    const { journal } = this;
    return {
      load: () => journal.load(),
      page: (after, limit) => journal.page(after, limit),
      value: (seq) => journal.value(seq),
      append: (entries) => {
        invariant(alive(), "The object is gone.");
        return journal.append(entries);
      },
      indexedSeq: () => journal.indexedSeq(),
      setIndexedSeq: (seq) => {
        if (alive()) journal.setIndexedSeq(seq);
      },
    };
  }

  #gate(alive: () => boolean, output: () => void): Promise<void> {
    return new Promise((resolve) => {
      if (!alive()) return;
      this.afterCommit(() => {
        output();
        resolve();
      });
    });
  }

  #deliver(message: StepMessage): void {
    this.messages.push(message);
    this.#options.send?.(message);
  }
}

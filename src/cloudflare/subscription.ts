import type { Entry, Recorded, StepKind } from "#core/entry.ts";
import { undoneKey } from "#core/rollback.ts";
import { stepKey } from "#core/step-key.ts";
import type { RunHandle } from "#objects/runs.ts";

/** The stream of an instance's events, told from its journal. */

export interface InstanceEvent {
  readonly type: string;
  readonly instanceId: string;
  /** Grows from one event to the next. */
  readonly eventId: number;
  /** Epoch ms. */
  readonly timestamp: number;
  /** With its counter, as `charge-1`. */
  readonly stepName?: string;
  readonly attempt?: number;
  /** Of a failed attempt that is followed by another. */
  readonly retryDelayMs?: number;
}

export interface SubscribeOptions {
  /** Begins after the event of this id. */
  readonly cursor?: number;
  /** Tells events of these types only. */
  readonly filter?: readonly string[];
}

interface Source {
  readonly instanceId: string;
  readonly handle: RunHandle;
  readonly cursor: number;
  readonly filter: readonly string[] | undefined;
}

/** One entry tells of at most so many events. */
const eventsPerEntry = 10;
const firstPauseMs = 50;
const longestPauseMs = 2_000;

export class Subscription {
  readonly #source: Source;
  readonly #told: InstanceEvent[] = [];
  readonly #teller = new Teller();
  #after = 0;
  #ended = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The next event; `done` after the one that ended the instance. */
  async next(): Promise<{ readonly done: boolean; readonly value: InstanceEvent | undefined }> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const value = this.#told.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#ended) return { done: true, value: undefined };
      if (!(await this.#read())) await scheduler.wait(pauseMs);
    }
  }

  /** Ends the subscription, also at the end of the block that declared it with `using`. */
  dispose(): void {
    this.#ended = true;
    this.#told.length = 0;
  }

  /** False when the journal has nothing new. */
  async #read(): Promise<boolean> {
    const { items } = await this.#source.handle.journal(this.#after, 200);
    for (const entry of items) {
      this.#after = entry.seq;
      this.#tell(entry);
    }
    return items.length > 0;
  }

  #tell(entry: Recorded): void {
    const { instanceId, cursor, filter } = this.#source;
    for (const [index, told] of this.#teller.eventsOf(entry).entries()) {
      const event = { ...told, instanceId, eventId: entry.seq * eventsPerEntry + index, timestamp: entry.at };
      if (event.eventId > cursor && (filter === undefined || filter.includes(event.type))) this.#told.push(event);
    }
    if (entry.kind === "run.ended") this.#ended = true;
  }
}

type Told = Pick<InstanceEvent, "type" | "stepName" | "attempt" | "retryDelayMs">;

/** Turns entries into events, in order. It remembers the steps, since only their first entry tells what they are. */
class Teller {
  readonly #steps = new Map<string, { readonly kind: StepKind; readonly stepName: string }>();
  #rollsBack = false;

  eventsOf(entry: Entry): readonly Told[] {
    switch (entry.kind) {
      case "run.created":
        return [{ type: "workflow_queued" }, ...(entry.startAt === entry.at ? [{ type: "workflow_started" }, { type: "workflow_running" }] : [])];
      case "run.started":
        return [{ type: "workflow_started" }, { type: "workflow_running" }];
      case "run.paused":
        return [{ type: "workflow_paused" }];
      case "run.resumed":
        return [{ type: "workflow_running" }];
      case "run.rollback_begun":
        this.#rollsBack = true;
        return [{ type: "rollback_started" }];
      case "run.ended":
        return [...(this.#rollsBack ? [{ type: "rollback_completed" }] : []), { type: endings[entry.status] }];
      default:
        return "key" in entry ? this.#stepEvents(entry) : [];
    }
  }

  #stepEvents(entry: Extract<Entry, { key: string }>): readonly Told[] {
    if (entry.kind === "step.started") this.#learn(entry.key, entry.name, entry.count, entry.step);
    const begins = entry.kind === "step.completed" || entry.kind === "step.failed" ? entry.instant : null;
    if (begins) this.#learn(entry.key, begins.name, begins.count, begins.step);
    const step = this.#steps.get(entry.key);
    if (step === undefined) return [];
    const words = entryWords(entry, step.kind);
    return words.map(({ word, ...more }) => ({ type: `${step.kind === "compensation" ? "rollback_" : ""}${word}`, stepName: step.stepName, ...more }));
  }

  #learn(key: string, name: string, count: number, kind: StepKind): void {
    const undone = kind === "compensation" ? this.#steps.get(undoneKey(key)) : undefined;
    this.#steps.set(key, { kind, stepName: undone?.stepName ?? `${name}-${count}` });
    if (key !== stepKey(name, count)) this.#steps.set(stepKey(name, count), { kind, stepName: `${name}-${count}` });
  }
}

const endings = { completed: "workflow_completed", failed: "workflow_errored", cancelled: "workflow_terminated", terminated: "workflow_terminated" } as const;

interface Word {
  readonly word: string;
  readonly attempt?: number;
  readonly retryDelayMs?: number;
}

function entryWords(entry: Extract<Entry, { key: string }>, kind: StepKind): readonly Word[] {
  if (kind === "sleep") return wordsOf(entry, { "step.started": "sleep_started", "step.completed": "sleep_completed" });
  if (kind === "event") {
    const timedOut = entry.kind === "step.completed" && entry.outcome === "timeout";
    return wordsOf(entry, { "step.started": "wait_started", "step.completed": timedOut ? "wait_timed_out" : "wait_completed" });
  }
  switch (entry.kind) {
    case "step.started":
      return [{ word: "step_started" }, { word: "attempt_started", attempt: 1 }];
    case "attempt.started":
      return [{ word: "attempt_started", attempt: entry.attempt }];
    case "attempt.failed":
      return [{ word: "attempt_errored", attempt: entry.attempt, retryDelayMs: entry.retryAt - entry.at }];
    case "step.parked":
      return [{ word: "attempt_errored", attempt: entry.attempt }, { word: "step_errored" }];
    case "step.completed":
      return [{ word: "attempt_completed", attempt: entry.attempt }, { word: "step_completed" }];
    case "step.failed":
      return [{ word: "attempt_errored", attempt: entry.attempt }, { word: "step_errored" }];
    default:
      return [];
  }
}

function wordsOf(entry: Entry, words: Partial<Record<Entry["kind"], string>>): readonly Word[] {
  const word = words[entry.kind];
  return word === undefined ? [] : [{ word }];
}

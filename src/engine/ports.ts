import type { StepMessage } from "#core/command.ts";
import type { Entry, Recorded } from "#core/entry.ts";
import type { RunSummary } from "#core/run.ts";
import type { Encoded } from "#core/value.ts";
import type { Log } from "#sdk/log.ts";
import type { Registry } from "#sdk/registry.ts";

/**
 * What the engine needs of the world. Each port states its laws; `test/laws` holds every form of it to them.
 */

/**
 * One run's journal.
 * - Entries are numbered from 1 without gaps, in the order of appending.
 * - `append` is atomic: either every entry is in, or none and it throws.
 * - An entry that was appended never changes and never goes away.
 * - A journal that holds `run.ended` is closed and refuses every further entry.
 * - What was read equals what was appended, values of any size included.
 * - Within one synchronous turn, appends and `Alarm.set` become durable together, before anything leaves the object.
 */
export interface Journal {
  /** The whole journal, in order. Values beyond `limits.eagerValueBytes` are left out and flagged `valueOmitted`. */
  load(): Recorded[];
  /** Entries after `after`, at most `limit`, values included. */
  page(after: number, limit: number): Recorded[];
  /** The value of one entry. @throws Fault `invariant` where there is none. */
  value(seq: number): Encoded;
  /** Appends and returns the number of the last entry. @throws Fault `invariant` on a closed journal. */
  append(entries: readonly Entry[]): number;
  /** The `seq` of the newest summary that the index is known to have; 0 before the first. A cursor, not a flag per row. */
  indexedSeq(): number;
  setIndexedSeq(seq: number): void;
}

/**
 * The run's one alarm: it calls `RunEngine.wake`, at least once, never long before its time. `set` replaces.
 * Setting it in a turn that also appends makes both durable together.
 */
export interface Alarm {
  set(at: number): void;
  clear(): void;
}

export interface Clock {
  /** Epoch ms. It may jump; the engine never lets a run's time go backwards. */
  now(): number;
  /** Calls `fire` once at about `at`, if the object still lives. Never the only thing that a run's progress hangs on. Returns its cancellation. */
  timer(at: number, fire: () => void): () => void;
  /** Resolves after everything that can run now has run: one turn of the event loop. */
  idle(): Promise<void>;
}

export interface Random {
  /** From 0 up to 1. */
  number(): number;
  uuid(): string;
}

/** Messages may be lost, repeated, delayed and reordered: they are hints. `send` rejects when the queue refuses them. */
export interface Dispatcher {
  send(messages: readonly StepMessage[]): Promise<void>;
}

/** Takes a summary towards the index. It may be lost; the engine sends again until `RunEngine.indexed` confirms. */
export interface Publisher {
  publish(summary: RunSummary): Promise<void>;
}

/** Mints callback addresses. The same claims give the same address. */
export interface CallbackMint {
  /** The address below `origin`. @throws Fault `callback_not_configured` where there is no secret to sign with. */
  url(origin: string, claims: CallbackClaims): string;
  /** As `url`, for a page where `assignee` can decide. */
  approvalUrl(origin: string, claims: ApprovalClaims): string;
}

export interface CallbackClaims {
  readonly namespace: string;
  readonly runId: string;
  readonly key: string;
  /** Epoch ms; null: never. */
  readonly expiresAt: number | null;
}

export interface ApprovalClaims extends CallbackClaims {
  readonly assignee: string;
}

export interface EngineSettings {
  /** How long an attempt, or a pass, may be silent before it counts as lost, in ms. Recovery from a crash takes about this long at most. */
  readonly leaseMs: number;
  /** How long after sending a message or a summary it is sent again when nothing came back, in ms. The pause doubles each time, up to 15 minutes. */
  readonly resendMs: number;
}

export const defaultSettings: EngineSettings = { leaseMs: 15_000, resendMs: 30_000 };

export interface EnginePorts {
  readonly journal: Journal;
  readonly alarm: Alarm;
  readonly clock: Clock;
  readonly random: Random;
  readonly dispatcher: Dispatcher;
  readonly publisher: Publisher;
  readonly callbacks: CallbackMint;
  readonly registry: Registry;
  readonly settings: EngineSettings;
  /** Drops this object with all it holds in memory; what is durable goes on from there. For when memory and journal may differ. */
  readonly abort: (error: unknown) => void;
  /** A logger that adds the run's ids to each line. */
  readonly log: Log;
}

import type { Entry, Recorded } from "#core/entry.ts";
import { applyEntry, emptyRunState, type RunState } from "#core/run-state.ts";
import type { Encoded } from "#core/value.ts";
import type { EnginePorts } from "./ports.ts";
import type { TurnJournal } from "./turn-journal.ts";

/** The journal and what it means, changed together and only here: `commit` is the one place where a decision becomes a fact. */
export class Ledger {
  readonly state: RunState = emptyRunState();
  /** Moments that were in the journal when the object was loaded: an earlier execution has most likely seen them. */
  readonly loadedMoments: number;
  readonly #ports: EnginePorts & { readonly journal: TurnJournal };
  /** Values that are likely to be asked for next, by entry. The journal has them all; this saves reading back what was just written. */
  readonly #values = new Map<number, Encoded>();

  constructor(ports: EnginePorts & { readonly journal: TurnJournal }) {
    this.#ports = ports;
    for (const entry of ports.journal.load()) this.#apply(entry);
    this.loadedMoments = this.state.moments.length;
  }

  /** Epoch ms, never before the last entry, even when the clock was set back or the run has moved to another host. */
  now(): number {
    return Math.max(this.#ports.clock.now(), this.state.lastAt);
  }

  /** Appends entries and folds them in: the state tells of them from now on, and they are written with the rest of their turn. */
  commit(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    try {
      this.#ports.journal.append(entries);
      for (const entry of entries) this.#apply(Object.assign(entry, { seq: this.state.lastSeq + 1 }));
    } catch (error) {
      this.#ports.abort(error);
      throw error;
    }
  }

  /** Writes what was committed. To be called before anything happens that the outside could see and no port does. */
  write(): void {
    this.#ports.journal.write();
  }

  /** The value of an entry, for the last time that memory needs it. */
  takeValue(seq: number): Encoded {
    const value = this.#values.get(seq);
    if (value === undefined) return this.#ports.journal.value(seq);
    this.#values.delete(seq);
    return value;
  }

  forgetValues(): void {
    this.#values.clear();
  }

  #apply(entry: Recorded): void {
    applyEntry(this.state, entry);
    if ("value" in entry && entry.value !== null && !entry.valueOmitted && entry.kind !== "attempt.failed" && entry.kind !== "run.created") {
      this.#values.set(entry.seq, entry.value);
    }
  }
}

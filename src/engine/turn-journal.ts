import type { Entry, Recorded } from "#core/entry.ts";
import type { Encoded } from "#core/value.ts";
import type { EnginePorts, Journal } from "./ports.ts";

/**
 * The journal as the engine writes to it: what one turn of the event loop records gathers here and is appended together, for each append is a row. It is
 * written before anything can leave the object: before an action is called, a message sent, the alarm moved, a caller answered. What nobody is told
 * of is written when the turn is over. A crash before that is a crash before all of it.
 */
export class TurnJournal implements Journal {
  readonly #ports: EnginePorts;
  #gathered: Entry[] = [];
  #lastSeq = 0;
  /** The object is gone: what its code still does must not happen. */
  #isOver = false;

  constructor(ports: EnginePorts) {
    this.#ports = ports;
  }

  load(): Recorded[] {
    const entries = this.#written.load();
    this.#lastSeq = entries.length;
    return entries;
  }

  page(after: number, limit: number): Recorded[] {
    return this.#written.page(after, limit);
  }

  value(seq: number): Encoded {
    return this.#written.value(seq);
  }

  indexedSeq(): number {
    return this.#written.indexedSeq();
  }

  setIndexedSeq(seq: number): void {
    this.#written.setIndexedSeq(seq);
  }

  append(entries: readonly Entry[]): number {
    this.#mustLive();
    if (this.#gathered.length === 0) void this.#writeAfterTurn();
    this.#gathered.push(...entries);
    this.#lastSeq += entries.length;
    return this.#lastSeq;
  }

  /** Writes what was gathered. When the journal refuses it, memory can't be trusted any more and the object is dropped. */
  write(): void {
    this.#mustLive();
    if (this.#gathered.length === 0) return;
    const entries = this.#gathered;
    this.#gathered = [];
    try {
      this.#ports.journal.append(entries);
    } catch (error) {
      this.#isOver = true;
      this.#ports.abort(error);
      throw error;
    }
  }

  /** Forgets what was not written: the object is gone. */
  drop(): void {
    this.#gathered = [];
    this.#isOver = true;
  }

  #mustLive(): void {
    if (this.#isOver) throw new Error("The object is gone.");
  }

  get #written(): Journal {
    this.write();
    return this.#ports.journal;
  }

  async #writeAfterTurn(): Promise<void> {
    await this.#ports.clock.idle();
    try {
      this.write();
    } catch {
      // The object is dropped; nobody here is waiting for an answer.
    }
  }
}

/** The ports with a journal that gathers: whatever leaves by the others leaves after what was recorded before is written. */
export function afterWriting(ports: EnginePorts): EnginePorts & { readonly journal: TurnJournal } {
  const journal = new TurnJournal(ports);
  const after = <Arguments extends unknown[], Result>(leave: (...args: Arguments) => Result) => {
    return (...args: Arguments): Result => {
      journal.write();
      return leave(...args);
    };
  };
  const { alarm, dispatcher, publisher } = ports;
  return {
    ...ports,
    journal,
    alarm: { set: after((at) => alarm.set(at)), clear: after(() => alarm.clear()) },
    dispatcher: { send: after((messages) => dispatcher.send(messages)) },
    publisher: { publish: after((summary) => publisher.publish(summary)) },
  };
}

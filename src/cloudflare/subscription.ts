import type { RunHandle } from "#objects/runs.ts";
import { InstanceEvents } from "./instance-events.ts";

interface Source {
  readonly instanceId: string;
  readonly handle: RunHandle;
  readonly cursor: number;
  readonly filter: readonly WorkflowInstanceEventType[] | undefined;
}

const firstPauseMs = 50;
const longestPauseMs = 2_000;

/** The stream of an instance's events, read from its journal: what has happened, then what happens, until the end. */
export class Subscription implements WorkflowInstanceSubscription {
  readonly #source: Source;
  readonly #events: InstanceEvents;
  readonly #unread: WorkflowInstanceEvent[] = [];
  /** The last entry that was read. */
  #after = 0;
  #ended = false;

  constructor(source: Source) {
    this.#source = source;
    this.#events = new InstanceEvents(source.instanceId);
  }

  /** The next event; `done` after the one that ended the instance. */
  async next(): Promise<IteratorResult<WorkflowInstanceEvent, void>> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const value = this.#unread.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#ended) return { done: true, value: undefined };
      if (!(await this.#read())) await scheduler.wait(pauseMs);
    }
  }

  /** Ends the subscription, also at the end of the block that declared it with `using`. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#unread.length = 0;
  }

  /** False when the journal has nothing new. */
  async #read(): Promise<boolean> {
    const { handle, cursor, filter } = this.#source;
    const { items } = await handle.journal(this.#after, 200);
    for (const entry of items) {
      this.#after = entry.seq;
      for (const event of this.#events.of(entry)) {
        if (event.eventId > cursor && (filter === undefined || filter.includes(event.type))) this.#unread.push(event);
      }
      if (entry.kind === "run.ended") this.#ended = true;
    }
    return items.length > 0;
  }
}

import type { RunSummary } from "#core/run.ts";
import type { EnginePorts } from "./ports.ts";

/** At most this often is a run that keeps changing published, so that a loop of short sleeps does not flood the index. */
const publishEveryMs = 1000;

/**
 * The outbox to the index: the run's newest summary, sent until the index confirms it. Nothing is queued: a newer summary replaces an older.
 */
export class Publication {
  readonly #ports: EnginePorts;
  #indexedSeq: number;
  /** The run's `seq` when it was loaded. */
  readonly #loadedSeq: number;
  /** The `seq` of the newest summary that was asked to be shown. */
  #requestedSeq = 0;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  #lastSentSeq = 0;
  #dueAt: number | null = null;
  #failures = 0;

  /** What the index has not confirmed when the run is loaded may have been lost, with the object that was to send it again. */
  constructor(ports: EnginePorts, loadedSeq: number, now: number) {
    this.#ports = ports;
    this.#indexedSeq = ports.journal.indexedSeq();
    this.#loadedSeq = loadedSeq;
    if (loadedSeq > this.#indexedSeq) this.#dueAt = now + ports.settings.resendMs;
  }

  /** When something must be sent (again), epoch ms; null when the index has it all. */
  get dueAt(): number | null {
    return this.#dueAt;
  }

  /** The run changed in a way that the index should show. */
  request(seq: number, now: number): void {
    if (seq <= this.#indexedSeq || seq <= this.#requestedSeq) return;
    this.#requestedSeq = seq;
    this.#dueAt = Math.min(this.#dueAt ?? Number.POSITIVE_INFINITY, Math.max(now, this.#lastSentAt + publishEveryMs));
  }

  /** The run has ended: there is no later change to wait for. */
  requestEnd(seq: number, now: number): void {
    if (seq <= this.#indexedSeq || seq <= this.#requestedSeq) return;
    this.#requestedSeq = seq;
    this.#dueAt = now;
  }

  /** Asks for a send whatever the index is known to have: for the sweeper. */
  requestNow(now: number): void {
    this.#dueAt = now;
  }

  /** Sends what is not known to have arrived. */
  async sendUnconfirmed(summary: RunSummary, now: number): Promise<void> {
    if (this.#dueAt !== null) await this.send(summary, now);
  }

  /** Sends when due. Returns the sending, to be waited for by whoever hosts the run. */
  async send(summary: RunSummary, now: number): Promise<void> {
    this.#lastSentAt = now;
    // What is sent for the first time has not failed yet, however often the news before it had to be sent.
    if (summary.seq > this.#lastSentSeq) this.#failures = 0;
    this.#lastSentSeq = summary.seq;
    const resendMs = Math.min(this.#ports.settings.resendMs * 2 ** this.#failures, 15 * 60_000);
    // What was asked for may be newer than what there is to send yet: a run that was at rest and has just been woken.
    this.#dueAt = now + (summary.seq < this.#requestedSeq ? publishEveryMs : resendMs);
    this.#requestedSeq = Math.max(this.#requestedSeq, summary.seq);
    this.#failures++;
    try {
      await this.#ports.publisher.publish(summary);
    } catch (error) {
      this.#ports.log.warn("The summary could not be sent to the index; it is sent again.", { error: String(error) });
    }
  }

  /**
   * The index has the summary `seq`. Repeats and older confirmations change nothing. Of a run that has ended nothing is written down: its alarm stands until the index
   * has all of it, and is then taken away, which tells as much and saves a write.
   */
  confirm(seq: number, hasEnded: boolean): void {
    if (seq > this.#indexedSeq) {
      this.#indexedSeq = seq;
      if (!hasEnded) this.#ports.journal.setIndexedSeq(seq);
    }
    if (seq < Math.max(this.#requestedSeq, this.#loadedSeq)) return;
    this.#failures = 0;
    this.#dueAt = null;
  }
}

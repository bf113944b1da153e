import { DurableObject } from "cloudflare:workers";
import { megabyte } from "./workflows.ts";

/**
 * What the platform itself costs: a Durable Object that does the same work with nothing around it. One row for each step; the floor awaits
 * `sync()` after each, the gate leaves durability to the output gate, as Segno does.
 */
export class BareObject extends DurableObject {
  #finished = Promise.withResolvers<number>();
  #napUntil = 0;

  async sequential(steps: number, durable: boolean): Promise<number> {
    this.#createTable();
    for (let i = 0; i < steps; i++) {
      this.#write(await action(i));
      if (durable) await this.ctx.storage.sync();
    }
    return steps;
  }

  /** As `sequential`, with steps that each take a turn of the event loop, as one that talks to the world does. */
  async turns(steps: number, durable: boolean): Promise<number> {
    this.#createTable();
    for (let i = 0; i < steps; i++) {
      await scheduler.wait(0);
      this.#write(i);
      if (durable) await this.ctx.storage.sync();
    }
    return steps;
  }

  async fanOut(steps: number, durable: boolean): Promise<number> {
    this.#createTable();
    await Promise.all(
      Array.from({ length: steps }, async (_, i) => {
        this.#write(await action(i));
        if (durable) await this.ctx.storage.sync();
      }),
    );
    return steps;
  }

  async payload(steps: number, durable: boolean): Promise<number> {
    this.#createTable();
    for (let i = 0; i < steps; i++) {
      this.#write(await Promise.resolve(megabyte(i)));
      if (durable) await this.ctx.storage.sync();
    }
    return steps;
  }

  async park(durable: boolean): Promise<void> {
    this.#createTable();
    if (durable) await this.ctx.storage.sync();
  }

  finished(): Promise<number> {
    return this.#finished.promise;
  }

  async event(payload: number, durable: boolean): Promise<void> {
    this.#write(payload);
    if (durable) await this.ctx.storage.sync();
    this.#write(payload + 1);
    if (durable) await this.ctx.storage.sync();
    this.#finished.resolve(payload + 1);
  }

  /** Sleeps by its alarm, and answers by how many ms that came too late. */
  async nap(ms: number): Promise<number> {
    this.#napUntil = Date.now() + ms;
    await this.ctx.storage.setAlarm(this.#napUntil);
    return this.#finished.promise;
  }

  override alarm(): void {
    this.tell(Date.now() - this.#napUntil);
  }

  /** Somebody else has finished. */
  tell(result: number): void {
    this.#finished.resolve(result);
  }

  #createTable(): void {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS step (seq INTEGER PRIMARY KEY, value TEXT NOT NULL)");
  }

  #write(value: unknown): void {
    this.ctx.storage.sql.exec("INSERT INTO step (value) VALUES (?)", JSON.stringify(value));
  }
}

function action(value: number): Promise<number> {
  return Promise.resolve(value);
}

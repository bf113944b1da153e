import { seededRandom } from "#engine/memory.ts";

/** What is wrong with the queues and the index, for as long as it is. Shared by a test and the Worker. */
export interface Trouble {
  readonly seed: number;
  /** Of a hundred messages, so many are lost, doubled, late, or refused by the queue. */
  readonly lost: number;
  readonly doubled: number;
  readonly late: number;
  readonly refused: number;
  /** Of a hundred batches, so many are thrown back by their consumer. */
  readonly thrownBack: number;
  /** Of a hundred statements, so many fail in the index. */
  readonly indexFails: number;
}

/** What was done to the messages. A test that finds none of it tests nothing. */
export const troubles: Record<keyof Omit<Trouble, "seed">, number> = { lost: 0, doubled: 0, late: 0, refused: 0, thrownBack: 0, indexFails: 0 };

let current: Trouble | null = null;
let random = seededRandom(1);

/** From now on this is wrong; null: nothing is. */
export function cause(trouble: Trouble | null): void {
  current = trouble;
  if (trouble) random = seededRandom(trouble.seed);
}

function hits(what: keyof typeof troubles): boolean {
  if (!current || random.number() * 100 >= current[what]) return false;
  troubles[what]++;
  return true;
}

const longestDelayMs = 400;

/** A queue that loses, repeats, delays (and so reorders) and refuses. */
export function troubledQueue(queue: Queue): Queue {
  const sendOne = async (message: MessageSendRequest): Promise<void> => {
    if (hits("lost")) return;
    if (hits("late")) await new Promise((resolve) => setTimeout(resolve, random.number() * longestDelayMs));
    const { body, ...options } = message;
    await queue.send(body, options);
    if (hits("doubled")) await queue.send(body, options);
  };
  const refuse = (): void => {
    if (hits("refused")) throw new Error("The queue refuses the message.");
  };
  const send: Queue["send"] = async (body, options) => {
    refuse();
    await sendOne({ body, ...options });
    return {} as never;
  };
  const sendBatch: Queue["sendBatch"] = async (messages) => {
    refuse();
    await Promise.all([...messages].map(sendOne));
    return {} as never;
  };
  return { send, sendBatch } as Queue;
}

/** @throws for a batch that its consumer can't take. */
export function troubledBatch(): void {
  if (hits("thrownBack")) throw new Error("The consumer died with the batch.");
}

/** An index that fails now and then, before or after it has done what it was asked. */
export function troubledIndex(index: D1Database): D1Database {
  const batch: D1Database["batch"] = async (statements) => {
    if (hits("indexFails")) throw new Error("D1_ERROR: the index is down.");
    const results = await index.batch(statements);
    if (hits("indexFails")) throw new Error("D1_ERROR: the connection to the index was lost.");
    return results as never;
  };
  return new Proxy(index, {
    get: (target, name) => {
      if (name === "batch") return batch;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

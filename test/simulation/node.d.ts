/** What the simulation uses of Node, beside what the benchmarks do. */

declare module "node:worker_threads" {
  export const isMainThread: boolean;
  export const workerData: unknown;
  export const parentPort: { postMessage(message: unknown): void; on(event: "message", listener: (message: unknown) => void): void } | null;
  export class Worker {
    constructor(file: URL, options: { workerData: unknown });
    on(event: "message", listener: (message: unknown) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    postMessage(message: unknown): void;
    terminate(): Promise<number>;
  }
}

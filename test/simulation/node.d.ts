/** What the simulation uses of Node, beside what the benchmarks do. */

declare function setImmediate(work: () => void): void;

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

declare module "node:module" {
  interface Loaded {
    readonly format?: string;
    readonly source?: unknown;
    readonly shortCircuit?: boolean;
  }
  export function registerHooks(hooks: { load(url: string, context: object, next: (url: string, context: object) => Loaded): Loaded }): void;
}

declare module "node:fs" {
  export function writeFileSync(path: string, text: string): void;
}

declare module "node:child_process" {
  export function execFile(
    file: string,
    parameters: readonly string[],
    options: { readonly maxBuffer: number },
    done: (error: Error | null, output: string, trouble: string) => void,
  ): void;
}

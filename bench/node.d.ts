/** What benchmarks and tests use of Node. The types of Node itself would clash with those of Workers, which all other code is checked against. */

interface ImportMeta {
  readonly url: string;
}

declare module "node:fs" {
  export function existsSync(path: string): boolean;
  export function mkdirSync(path: string, options: { recursive: boolean }): void;
  export function mkdtempSync(prefix: string): string;
  export function readdirSync(path: string): string[];
  export function readFileSync(path: string, encoding: "utf8"): string;
  export function rmSync(path: string, options: { recursive: boolean; force: boolean }): void;
  export function writeFileSync(path: string, text: string): void;
}

declare module "node:os" {
  export function tmpdir(): string;
}

declare module "node:path" {
  export function join(...parts: string[]): string;
}

declare module "node:url" {
  export function fileURLToPath(url: URL): string;
}

declare module "node:util" {
  interface Option {
    readonly type: "boolean" | "string";
    readonly default: boolean | string;
  }
  type Values<Options> = { [Name in keyof Options]: Options[Name] extends { type: "boolean" } ? boolean : string };
  export function parseArgs<const Options extends Record<string, Option>>(config: { options: Options }): { values: Values<Options> };
}

declare module "node:child_process" {
  interface Stream {
    on(event: "data", listener: (part: unknown) => void): void;
  }
  interface Child {
    readonly stderr: Stream;
    on(event: "close" | "error", listener: (reason: unknown) => void): void;
    kill(signal: string): void;
  }
  export function spawn(command: string, parameters: readonly string[], options: { stdio: readonly string[] }): Child;
}

declare module "node:http" {
  interface Incoming {
    readonly statusCode?: number;
    readonly complete: boolean;
    setEncoding(encoding: "utf8"): void;
    on(event: "data", listener: (part: string) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "end" | "close", listener: () => void): void;
  }
  interface Outgoing {
    on(event: "error", listener: (error: Error & { code?: string }) => void): void;
    on(event: "timeout", listener: () => void): void;
    destroy(error: Error): void;
    end(body?: string): void;
  }
  interface Answering {
    readonly destroyed: boolean;
    writeHead(status: number): Answering;
    end(): void;
  }
  interface Server {
    listen(port: number, host: string, listening: () => void): void;
    address(): { port: number } | string | null;
    closeAllConnections(): void;
    close(): void;
  }
  export class Agent {
    constructor(options: { keepAlive: boolean; maxSockets: number; timeout: number });
    destroy(): void;
  }
  export function request(
    url: URL,
    options: { method: string; agent: Agent; headers: Record<string, string>; timeout: number },
    answered: (incoming: Incoming) => void,
  ): Outgoing;
  export function createServer(handle: (request: Incoming, response: Answering) => void): Server;
}

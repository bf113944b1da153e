/** What the fuzzer uses of Node, beside what `bench/node.d.ts` has. The types of Node itself would clash with those of Workers. */

declare module "node:buffer" {
  type Encoding = "utf8" | "latin1" | "base64" | "base64url" | "utf16le";
  export class Buffer extends Uint8Array<ArrayBuffer> {
    static from(text: string, encoding?: Encoding): Buffer;
    static from(bytes: Uint8Array | readonly number[]): Buffer;
    static alloc(size: number, fill?: string): Buffer;
    static concat(parts: readonly Uint8Array[]): Buffer;
    static byteLength(text: string): number;
    equals(other: Uint8Array): boolean;
    includes(searched: string | number): boolean;
    indexOf(searched: string | number, from?: number): number;
    subarray(from?: number, to?: number): Buffer;
    toString(encoding?: Encoding): string;
    write(text: string, at: number): number;
  }
}

declare module "node:crypto" {
  import type { Buffer } from "node:buffer";

  interface Hmac {
    update(data: string | Uint8Array): Hmac;
    digest(): Buffer;
    digest(encoding: "hex" | "base64"): string;
  }
  export function createHmac(algorithm: "sha256", key: string | Uint8Array): Hmac;
}

declare module "node:fs" {
  export function existsSync(path: string): boolean;
  export function writeFileSync(path: string, text: string): void;
}

declare module "node:net" {
  import type { Buffer } from "node:buffer";
  export interface Socket {
    on(event: "connect" | "close", listener: () => void): void;
    on(event: "data", listener: (part: Buffer) => void): void;
    on(event: "error", listener: (error: unknown) => void): void;
    off(event: "data", listener: (part: Buffer) => void): void;
    off(event: "close", listener: () => void): void;
    off(event: "error", listener: (error: unknown) => void): void;
    setNoDelay(on: boolean): void;
    write(bytes: Uint8Array): void;
    destroy(): void;
  }
  export function connect(port: number, host: string): Socket;
}

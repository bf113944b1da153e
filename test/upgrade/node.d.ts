/** What the stored builds need of Node, beside what `bench/node.d.ts` has. The types of Node itself would clash with those of Workers. */

declare module "node:child_process" {
  export function execFileSync(file: string, parameters: readonly string[], options: { readonly cwd: string }): void;
}

declare module "node:fs" {
  export function cpSync(from: string, to: string, options?: { readonly recursive: boolean }): void;
  export function readdirSync(path: string, options: { readonly recursive: boolean }): string[];
  export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
  export function symlinkSync(target: string, path: string): void;
  export function writeFileSync(path: string, bytes: Uint8Array): void;
}

declare module "node:sqlite" {
  export class DatabaseSync {
    constructor(path: string);
    prepare(sql: string): { all(): Record<string, unknown>[] };
    close(): void;
  }
}

declare module "node:url" {
  export function pathToFileURL(path: string): URL;
}

declare module "node:zlib" {
  export function gunzipSync(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
  export function gzipSync(bytes: string, options: { readonly level: number }): Uint8Array<ArrayBuffer>;
}

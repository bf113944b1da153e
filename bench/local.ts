import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";

/** A Worker of this directory on a local workerd, with storage on disk, reached on its direct socket: the proxy of `wrangler dev` would cost more than what is measured. */

export interface LocalOptions {
  /** The Worker: a file beside this one, or what was bundled of one. */
  readonly worker: string | { readonly bundled: string };
  /** Where its storage lies. A second start on the same directory finds all of it. */
  readonly directory: string;
  /** Another Worker that holds the objects, as while a deployment spreads: the first has other code than they. */
  readonly objectsBy?: LocalOptions["worker"];
  /** Binding name → class name. */
  readonly objects: Readonly<Record<string, string>>;
  /** Binding name → class name of Cloudflare Workflows. */
  readonly workflows?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  /** How many step messages a consumer takes at once. Locally there is one consumer, where the platform has up to 250. Default 10. */
  readonly stepsPerBatch?: number;
  /** Called each time that workerd answers again after its process was killed. */
  readonly restarted?: () => void;
  /** Each line that the Worker or workerd prints. Default: dropped. */
  readonly line?: (text: string) => void;
}

export interface LocalWorker {
  readonly url: URL;
  /** The process id of workerd as of now; null while there is none. */
  pid(): number | null;
  stop(): Promise<void>;
}

export async function startLocal(options: LocalOptions): Promise<LocalWorker> {
  const local = new Miniflare(convertV4MiniflareOptions(await localOptions(options)));
  await local.ready;
  const index = await local.getD1Database("INDEX");
  await migrate(index);
  const url = await local.unsafeGetDirectURL("bench");
  return { url, pid: workerdPid, stop: () => local.dispose() };
}

async function localOptions(options: LocalOptions) {
  const { objectsBy } = options;
  return {
    log: new NoOpLog(),
    handleStructuredLogs: ({ message }: { message: string }) => options.line?.(message),
    unsafeHandleRuntimeRestart: () => options.restarted?.(),
    resourcePersistencePath: options.directory,
    workers: [
      {
        ...(await workerOptions(options, "bench", options.worker)),
        durableObjects: objectsOf(options, objectsBy === undefined ? {} : { scriptName: "objects" }),
        workflows: Object.fromEntries(Object.entries(options.workflows ?? {}).map(([name, className]) => [name, { name: name.toLowerCase(), className }])),
        queueConsumers: {
          "segno-steps": { maxBatchSize: options.stepsPerBatch ?? 10, maxBatchTimeout: 0, maxRetries: 3, deadLetterQueue: "segno-steps-dead" },
          "segno-steps-dead": { maxBatchSize: 10, maxBatchTimeout: 0 },
          "segno-summaries": { maxBatchSize: 100, maxBatchTimeout: 0, maxRetries: 10 },
        },
        unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      },
      ...(objectsBy === undefined ? [] : [{ ...(await workerOptions(options, "objects", objectsBy)), durableObjects: objectsOf(options, {}) }]),
    ],
  };
}

function objectsOf({ objects }: LocalOptions, where: { readonly scriptName?: string }) {
  return Object.fromEntries(Object.entries(objects).map(([name, className]) => [name, { className, useSQLite: true, ...where }]));
}

async function workerOptions(options: LocalOptions, name: string, worker: LocalOptions["worker"]) {
  return {
    name,
    modules: [{ type: "ESModule" as const, path: "worker.js", contents: await contentsOf(worker) }],
    compatibilityDate: "2026-08-15",
    bindings: {
      SEGNO_ENV: "development",
      SEGNO_API_KEY: apiKey,
      SEGNO_API_KEYS: `counted:${countedKey}`,
      SEGNO_SECRET: "segno-dev-secret-not-for-production",
      ...options.variables,
    },
    d1Databases: { INDEX: "index" },
    queueProducers: { STEPS: { queueName: "segno-steps" }, SUMMARIES: { queueName: "segno-summaries" } },
  };
}

const contentsOf = (worker: LocalOptions["worker"]): string | Promise<string> => (typeof worker === "string" ? bundle(worker) : worker.bundled);

export const apiKey = "segno-dev-key";
/** Of the namespace whose runs are counted. */
export const countedKey = "segno-counted-key";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The Worker as one module. A name is taken beside this file; a file URL is taken as it is. What is minified names no file. */
export async function bundle(worker: string, { minify = false } = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [here(worker)],
    absWorkingDir: here(".."),
    bundle: true,
    minify,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
  });
  const text = outputFiles[0]?.text;
  if (text === undefined) throw new Error(`esbuild made nothing of ${worker}.`);
  return text;
}

/** The index is as the repository's migrations make it. On storage that has it already there is nothing to do. */
export async function migrate(index: { exec(sql: string): Promise<unknown>; prepare(sql: string): { all(): Promise<{ results: unknown[] }> } }): Promise<void> {
  const { results } = await index.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'runs'").all();
  if (results.length > 0) return;
  const directory = here("../migrations/");
  for (const file of readdirSync(directory).sort()) {
    const withoutComments = readFileSync(`${directory}${file}`, "utf8").replaceAll(/--.*$/gm, "");
    for (const statement of withoutComments.split(";")) {
      if (statement.trim() !== "") await index.exec(statement.replaceAll(/\s+/g, " ").trim());
    }
  }
}

/** workerd is the one child of this process that carries its name; Miniflare does not tell its id. */
function workerdPid(): number | null {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const [, name, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, "utf8")) ?? [];
      if (name?.startsWith("workerd") && Number(parent) === process.pid) return Number(entry);
    } catch {
      // That process ended while we were looking.
    }
  }
  return null;
}

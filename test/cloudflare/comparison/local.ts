import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { bundle, migrate } from "../../../bench/local.ts";
import type { Case } from "./observe.ts";

/** One local workerd that holds both sides: the real Workflows and Segno. */

export interface Both {
  /** Runs one program on one side. */
  observe(side: "real" | "segno", program: string): Promise<Case>;
  /** Does something with one instance outside of a case, and gives its status. `open` lets go on what is held under the name `held`. */
  ask(side: "real" | "segno", what: "create" | "status" | "event" | "open", id: string): Promise<{ status: string; output?: unknown }>;
  /** The names of the effects of an instance outside of a case. */
  effects(side: "real" | "segno", id: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** With a directory, storage is kept there, and a second start finds it. */
export async function startBoth(directory?: string): Promise<Both> {
  const local = new Miniflare(
    convertV4MiniflareOptions({
      log: new NoOpLog(),
      handleStructuredLogs: () => {},
      ...(directory === undefined ? {} : { resourcePersistencePath: directory }),
      workers: [
        {
          name: "comparison",
          modules: [{ type: "ESModule" as const, path: "worker.js", contents: await bundle(new URL("./worker.ts", import.meta.url).href) }],
          compatibilityDate: "2026-08-15",
          bindings: { SEGNO_ENV: "development", SEGNO_API_KEY: "segno-dev-key", SEGNO_SECRET: "segno-dev-secret-not-for-production" },
          durableObjects: { LOG: { className: "EffectLog", useSQLite: true }, RUNS: { className: "RunObject", useSQLite: true } },
          workflows: {
            REAL: { name: "comparison", className: "Real" },
            REAL_FEW_STEPS: { name: "few-steps", className: "Real", stepLimit: 5 },
          },
          d1Databases: { INDEX: "index" },
          queueProducers: { STEPS: { queueName: "segno-steps" }, SUMMARIES: { queueName: "segno-summaries" } },
          queueConsumers: {
            "segno-steps": { maxBatchSize: 10, maxBatchTimeout: 0, maxRetries: 3, deadLetterQueue: "segno-steps-dead" },
            "segno-steps-dead": { maxBatchSize: 10, maxBatchTimeout: 0 },
            "segno-summaries": { maxBatchSize: 100, maxBatchTimeout: 0, maxRetries: 10 },
          },
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await local.ready;
  await migrate(await local.getD1Database("INDEX"));
  const url = await local.unsafeGetDirectURL("comparison");
  const get = async (path: string): Promise<unknown> => {
    const ask = () => fetch(new URL(path, url), { signal: AbortSignal.timeout(60_000) });
    // A kept connection may be closed at the moment at which it is used again. Each case has an id of its own, so it may be asked for twice.
    const response = await ask().catch(ask);
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  };
  return {
    observe: async (side, program) => (await get(`/${side}/${program}`)) as Case,
    ask: async (side, what, id) => (await get(`/${side}/${what}/${id}`)) as { status: string; output?: unknown },
    effects: async (side, id) => ((await get(`/${side}/effects/${id}`)) as { name: string }[]).map(({ name }) => name),
    stop: () => local.dispose(),
  };
}

import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Client, createClient, type Response } from "../../bench/http.ts";
import { bundle, type LocalWorker, startLocal } from "../../bench/local.ts";
import { storedBuild } from "./builds.ts";

/** One Segno on storage of its own, whose code is replaced while it has runs. */
export class Deployments {
  readonly #directory = mkdtempSync(join(tmpdir(), "segno-upgrade-"));
  readonly #sinkUrl: string;
  #local: LocalWorker | null = null;
  #client: Client | null = null;

  constructor(sinkUrl: string) {
    this.#sinkUrl = sinkUrl;
  }

  /**
   * Ends the process, in the middle of whatever it does, and starts the code of a version, or today's, on its storage. With `objects` the run objects are of that version,
   * and the API and the executors of the other; such storage is apart.
   */
  async deploy(version: string, objects?: string): Promise<void> {
    await this.stop();
    this.#local = await startLocal({
      worker: await codeOf(version),
      ...(objects !== undefined && { objectsBy: await codeOf(objects) }),
      directory: this.#directory,
      objects: { RUNS: "RunObject" },
      variables: { SINK: this.#sinkUrl },
    });
    this.#client = createClient(this.#local.url);
  }

  get(path: string): Promise<Response> {
    return this.#calls.get(path);
  }

  post(path: string, body: unknown = {}): Promise<Response> {
    return this.#calls.post(path, body);
  }

  async stop(): Promise<void> {
    this.#client?.close();
    await this.#local?.stop();
    this.#client = null;
    this.#local = null;
  }

  /** Of a Segno that is stopped: every row of every table of the runs, but for the platform's own. */
  everythingStored(): unknown[] {
    // Looking into a database changes its files, so a copy is looked into.
    const copy = mkdtempSync(join(tmpdir(), "segno-upgrade-copy-"));
    try {
      cpSync(this.#directory, copy, { recursive: true });
      const files = readdirSync(copy, { recursive: true }).filter((file) => /RunObject.[0-9a-f]+\.sqlite$/.test(file));
      return files.sort().map((file) => [file, rowsOf(join(copy, file))]);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get #calls(): Client {
    if (this.#client === null) throw new Error("Nothing is deployed.");
    return this.#client;
  }
}

/** Stands for the code as it is. */
export const today = "today";

const bundledToday = bundle(new URL("./worker.ts", import.meta.url).href);

async function codeOf(version: string): Promise<{ readonly bundled: string }> {
  return { bundled: version === today ? await bundledToday : storedBuild(version) };
}

function rowsOf(file: string): unknown {
  const database = new DatabaseSync(file);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name").all();
    return tables.map(({ name }) => [name, database.prepare(`SELECT * FROM ${name}`).all()]);
  } finally {
    database.close();
  }
}

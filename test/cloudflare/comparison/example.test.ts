import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle, migrate } from "../../../bench/local.ts";

/** The example does what its README says: one program, on both sides, with the same results. */

const example = new URL("../../../examples/cloudflare-workflows/", import.meta.url);
let local: Miniflare;
let url: URL;

beforeAll(async () => {
  local = new Miniflare(
    convertV4MiniflareOptions({
      log: new NoOpLog(),
      handleStructuredLogs: () => {},
      workers: [
        {
          name: "example",
          modules: [{ type: "ESModule" as const, path: "worker.js", contents: await bundle(new URL("worker.ts", example).href) }],
          compatibilityDate: "2026-08-15",
          bindings: { SEGNO_ENV: "development", SEGNO_API_KEY: "segno-dev-key", SEGNO_SECRET: "segno-dev-secret-not-for-production" },
          kvNamespaces: ["SHELF"],
          serviceBindings: { ADDRESSES: "example" },
          durableObjects: { RUNS: { className: "RunObject", useSQLite: true } },
          workflows: { MY_WORKFLOW: { name: "my-workflow", className: "MyWorkflow" } },
          d1Databases: { INDEX: "index" },
          queueProducers: { STEPS: { queueName: "segno-steps" }, SUMMARIES: { queueName: "segno-summaries" } },
          queueConsumers: { "segno-summaries": { maxBatchSize: 100, maxBatchTimeout: 0 } },
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await local.ready;
  await migrate(await local.getD1Database("INDEX"));
  url = await local.unsafeGetDirectURL("example");
}, 120_000);

afterAll(() => local.dispose());

const get = async (path: string): Promise<unknown> => (await fetch(new URL(path, url), { signal: AbortSignal.timeout(90_000) })).json();

/** Lines that are imports, and the others. */
function parts(file: string): { readonly imports: readonly string[]; readonly rest: readonly string[] } {
  const lines = readFileSync(fileURLToPath(new URL(file, example)), "utf8").split("\n");
  const isImport = (line: string) => line.startsWith("import ");
  return { imports: lines.filter(isImport), rest: lines.filter((line) => !isImport(line)) };
}

test("The program's two files differ in their import line only", () => {
  const forCloudflare = parts("workflow.ts");
  const forSegno = parts("workflow-on-segno.ts");
  expect(forSegno.rest).toEqual(forCloudflare.rest);
  expect(forSegno.imports).toEqual(forCloudflare.imports.map((line) => line.replace('"cloudflare:workers"', '"segno/cloudflare"')));
  expect(forSegno.imports).not.toEqual(forCloudflare.imports);
});

test("The program ends with the same output on both sides", { timeout: 120_000 }, async () => {
  const files = ["acme/contract.pdf", "acme/invoice.pdf", "acme/welcome.md"];
  const ranges = ["192.0.2.0/24", "198.51.100.0/24"];
  const end = { status: "complete", output: { files, ranges, written: { lines: 6, attempt: 2 } }, error: null, shelf: JSON.stringify(files) };
  expect(await get("/compare")).toEqual({ equal: true, cloudflare: end, segno: end });
});

test("The program fails with the same error on both sides, and takes back what it did", { timeout: 120_000 }, async () => {
  const end = { status: "errored", output: null, error: "Error: The files of acme were not approved", shelf: null };
  expect(await get("/compare?approved=no")).toEqual({ equal: true, cloudflare: end, segno: end });
});

test.each(["cloudflare", "segno"])("An instance on %s is created, and then asked for its status by its id", { timeout: 60_000 }, async (side) => {
  const created = (await get(`/${side}`)) as { id: string };
  expect(await get(`/${side}?instanceId=${created.id}`)).toMatchObject({ id: created.id, details: { output: null } });
});

import type { Buffer } from "node:buffer";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startLocal } from "../../bench/local.ts";
import { type Finding, Fuzzer } from "./fuzzer.ts";
import { Random } from "./random.ts";
import { secretsOf } from "./world.ts";

/**
 * `npm run --silent fuzz -- [--inputs N] [--seed S] [--only part of an operation] [--input N] [--json file]`: sends random requests to every operation of the
 * OpenAPI document of a local Segno, and holds the answers to their promises.
 */
const { values: options } = parseArgs({
  options: {
    inputs: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    only: { type: "string", default: "" },
    input: { type: "string", default: "" },
    json: { type: "string", default: "" },
  },
});
console.log(`seed ${options.seed}`);

const secrets = secretsOf(new Random("secrets", options.seed));
/** In memory where there is such a place, unless TMPDIR says otherwise: thousands of runs are made, and none is kept. */
const directory = mkdtempSync(join(existsSync("/dev/shm") && tmpdir() === "/tmp" ? "/dev/shm" : tmpdir(), "segno-fuzz-"));
const logged: string[] = [];
const local = await startLocal({
  worker: "../test/fuzz/worker.ts",
  directory,
  objects: { RUNS: "RunObject" },
  variables: {
    SEGNO_ENV: "production",
    SEGNO_API_KEY: secrets.keyA,
    SEGNO_API_KEYS: `b:${secrets.keyB}`,
    SEGNO_SECRET: secrets.secret,
    SEGNO_URL: "https://segno.test",
    SLACK_SIGNING_SECRET: secrets.slack,
    HMAC_SECRET: secrets.hmac,
    STANDARD_SECRET: secrets.standard,
  },
  line: (text) => {
    if (logged.length < 200) logged.push(text);
  },
});
const fuzzer = new Fuzzer({
  url: local.url,
  secrets,
  seed: options.seed,
  inputs: Number(options.inputs),
  only: options.only,
  input: options.input === "" ? null : Number(options.input),
  found: report,
});
let findings: readonly Finding[] = [];
const startedAt = performance.now();
try {
  findings = await fuzzer.run((progress) => process.stderr.write(`${seconds()} s: ${progress}\n`));
} finally {
  fuzzer.close();
  await local.stop();
  rmSync(directory, { recursive: true, force: true });
}
if (findings.length > 0) for (const line of logged.slice(0, 20)) console.log(`log: ${line.slice(0, 600)}`);
const { inputs, operations, askedAgain, statuses, codes } = fuzzer.counts;
if (options.json !== "")
  writeFileSync(options.json, JSON.stringify({ seed: options.seed, inputs, operations, askedAgain, statuses, codes, seconds: Number(seconds()), findings }));
const classes = Object.entries(statuses)
  .sort()
  .map(([status, count]) => `${status} ${count}`);
console.log(
  `seed ${options.seed}: ${inputs} inputs to ${operations} operations in ${seconds()} s: ${classes.join(", ")}; ${askedAgain} asked again for their slowness; ${findings.length} violations`,
);
process.exit(findings.length > 0 ? 1 : 0);

function seconds(): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function report({ operation, input, what, request, answer }: Finding): void {
  console.log(`\nVIOLATION ${operation} #${input}: ${what}`);
  if (input !== null) console.log(`again: npm run --silent fuzz -- --seed ${options.seed} --only "${operation}" --input ${input}`);
  if (request) console.log(shown(request));
  if (answer) console.log(`answer: ${answer}`);
}

/** A request as text; bytes beyond ASCII as escapes. */
function shown(request: Buffer): string {
  const text = request
    .subarray(0, 3000)
    .toString("latin1")
    .replace(/[^\n\x20-\x7e]/g, (byte) => (byte === "\r" ? "" : `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`));
  return request.length > 3000 ? `${text}… (${request.length} bytes)` : text;
}

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutants } from "./mutants.ts";

/**
 * `npm run --silent mutants [-- --only name] [--seeds N] [--seed S] [--json file]`: plants each bug of `mutants.ts` in turn and has the simulation look for it, in at
 * most N seeds from S on. Prints which seed found it and which promise was broken; exits 0 only where every one was found.
 */
const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    seeds: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
    json: { type: "string", default: "" },
  },
});

interface Finding {
  readonly name: string;
  /** Seeds that it took, or that were tried in vain. */
  readonly seeds: number;
  readonly seed?: number;
  readonly oracle?: string;
  readonly message?: string;
}

function hunt(name: string): Promise<Finding> {
  const planted = fileURLToPath(new URL("./planted.ts", import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [planted, name, options.seed, options.seeds], { maxBuffer: 16 * 1024 * 1024 }, (error, output, trouble) => {
      const line = output.trim().split("\n").at(-1) ?? "";
      if (line.startsWith("{")) return resolve(JSON.parse(line) as Finding);
      // A bug that brings the whole process down has been found, too; one that was not planted has not.
      console.error(trouble.slice(0, 2000));
      resolve({ name, seeds: 0, message: String(error) });
    });
  });
}

const chosen = mutants.filter((it) => it.name.includes(options.only));
const findings: Finding[] = [];
let next = 0;
async function huntOn(): Promise<void> {
  for (let mutant = chosen[next++]; mutant; mutant = chosen[next++]) {
    const finding = await hunt(mutant.name);
    findings.push(finding);
    const how = finding.oracle ? `${finding.oracle.padEnd(12)} seed ${finding.seed}` : "NOT FOUND";
    console.log(`${String(finding.seeds).padStart(7)} seeds  ${how.padEnd(24)} ${mutant.name}`);
  }
}
await Promise.all(Array.from({ length: Number(options.workers) }, huntOn));

const missed = findings.filter((it) => it.oracle === undefined);
if (options.json !== "") {
  const rows = findings.map(({ name, seeds, seed, oracle, message }) => ({
    name,
    file: mutants.find((it) => it.name === name)?.file,
    seeds,
    seed,
    oracle,
    message,
  }));
  writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
}
console.log(`${findings.length - missed.length} of ${findings.length} planted bugs found.`);
process.exitCode = missed.length === 0 ? 0 : 1;

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "../../bench/local.ts";
import { keepBuild } from "./builds.ts";

/**
 * `node test/upgrade/build.ts`: keeps a build of today's code, under the version in package.json. `node test/upgrade/build.ts <commit>`: of the code of that
 * commit, with today's flows, if it has all that they use. A build that is there already stays as it is.
 */
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const commit = process.argv[2];

if (commit === undefined) await keep(here("../.."));
else {
  const directory = mkdtempSync(join(tmpdir(), "segno-build-"));
  try {
    execFileSync("git", ["archive", "--output", join(directory, "code.tar"), commit, "src", "package.json"], { cwd: here("../..") });
    execFileSync("tar", ["-xf", "code.tar"], { cwd: directory });
    symlinkSync(here("../../node_modules"), join(directory, "node_modules"));
    mkdirSync(join(directory, "test/upgrade"), { recursive: true });
    for (const file of ["flows.ts", "later-flows.ts", "worker.ts"]) cpSync(here(file), join(directory, "test/upgrade", file));
    await keep(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function keep(root: string): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const code = await bundle(pathToFileURL(join(root, "test/upgrade/worker.ts")).href, { minify: true });
  if (code.includes(root) || code.includes("node_modules")) throw new Error("The build names a file of this machine.");
  const kept = keepBuild(version, code);
  console.log(kept === null ? `${version} is there` : `${version}: ${kept} bytes`);
}

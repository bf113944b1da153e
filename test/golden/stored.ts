import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type History, historyOf } from "./history.ts";

/** The golden histories as files: a directory for each version, a file for each feature. */

const home = fileURLToPath(new URL(".", import.meta.url));

/** The version that the code is of. */
export const { version } = JSON.parse(readFileSync(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8")) as { readonly version: string };

/** Every stored history, of every version. */
export function storedHistories(): History[] {
  const versions = readdirSync(home).filter((name) => /^\d/.test(name));
  return versions.flatMap((version) =>
    readdirSync(`${home}${version}`)
      .sort()
      .map((file) => historyOf(version, readFileSync(`${home}${version}/${file}`, "utf8"))),
  );
}

/** False when this history is there already: what was released stays as it was. */
export function store({ version, commits, ...head }: History): boolean {
  const path = `${home}${version}/${head.feature}.jsonl`;
  if (existsSync(path)) return false;
  mkdirSync(`${home}${version}`, { recursive: true });
  writeFileSync(path, `${[head, ...commits].map((line) => JSON.stringify(line)).join("\n")}\n`);
  return true;
}

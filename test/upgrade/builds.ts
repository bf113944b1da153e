import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";

/** The stored builds: a Worker of each version, as one minified module, compressed. */

const home = fileURLToPath(new URL("./builds/", import.meta.url));
const ending = ".js.gz";

/** The versions that a build is kept of, oldest first. */
export function storedVersions(): string[] {
  const versions = readdirSync(home).flatMap((file) => (file.endsWith(ending) ? [file.slice(0, -ending.length)] : []));
  return versions.sort(compareVersions);
}

export const compareVersions = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

/** The Worker's code. */
export function storedBuild(version: string): string {
  return new TextDecoder().decode(gunzipSync(readFileSync(`${home}${version}${ending}`)));
}

/** The bytes stored; null when this build is there already: what was released stays as it was. */
export function keepBuild(version: string, code: string): number | null {
  const path = `${home}${version}${ending}`;
  if (existsSync(path)) return null;
  mkdirSync(home, { recursive: true });
  const bytes = gzipSync(code, { level: 9 });
  writeFileSync(path, bytes);
  return bytes.length;
}

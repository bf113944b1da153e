import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { mutants } from "./mutants.ts";

/**
 * Run by `hunt.ts` in a process of its own: plants one bug as the module that it is in is loaded, and runs seeds until one breaks a promise.
 * Parameters: the mutant's name, the first seed, and how many at most. Prints what it found as one line of JSON.
 */
const [, , name = "", from = "1", most = "1000"] = process.argv as string[];
const mutant = mutants.find((it) => it.name === name);
if (!mutant) throw new Error(`There is no mutant "${name}".`);
const file = new URL(`../../src/${mutant.file}`, import.meta.url);
const text = readFileSync(fileURLToPath(file), "utf8");
const places = text.split(mutant.find).length - 1;
if (places !== 1) throw new Error(`"${name}": what it looks for stands ${places} times in src/${mutant.file}.`);

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (url !== file.href) return loaded;
    return { ...loaded, source: text.replace(mutant.find, () => mutant.replace) };
  },
});

const { runSeeds } = await import("./batch.ts");
const size = 100;
const first = Number(from);
let found: { readonly seed: number; readonly oracle: string; readonly message: string } | undefined;
let seeds = 0;
for (; seeds < Number(most) && !found; seeds += size) found = (await runSeeds(first + seeds, size)).failures[0];
console.log(JSON.stringify({ name, seeds: found ? found.seed - first + 1 : seeds, ...found }));
process.exit(0);

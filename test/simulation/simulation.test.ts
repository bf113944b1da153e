import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runSeeds, simulateWatched } from "./batch.ts";
import type { Plan } from "./plan.ts";

const found = fileURLToPath(new URL("./found/", import.meta.url));

test.each(readdirSync(found))("what a seed has found once, it does not find again: %s", async (file) => {
  const plan = JSON.parse(readFileSync(`${found}${file}`, "utf8")) as Plan;
  expect((await simulateWatched(plan.seed, false, plan)).violation).toBeNull();
});

test("two thousand simulated runs keep every promise, whatever fails", async () => {
  const random = Math.floor(Math.random() * 2 ** 40);
  console.log(`Seeds 1 to 1000, and ${random} to ${random + 999}.`);
  for (const first of [1, random]) {
    const tally = await runSeeds(first, 1000);
    expect(tally.failures, `npm run --silent simulate -- --seed ${tally.failures[0]?.seed} --seeds 1 --trace`).toEqual([]);
    // The runs are worth their time: they have steps, and much goes wrong.
    expect(tally.steps).toBeGreaterThan(5000);
    expect(tally.faults).toBeGreaterThan(4000);
    expect(Object.keys(tally.kinds).length).toBeGreaterThanOrEqual(26);
  }
}, 60_000);

test("the same seed gives the same trace, line by line", async () => {
  const first = Math.floor(Math.random() * 2 ** 40);
  console.log(`Seeds from ${first}.`);
  for (let seed = first; seed < first + 40; seed++) {
    const once = await simulateWatched(seed, true);
    const again = await simulateWatched(seed, true);
    const untraced = await simulateWatched(seed, false);
    expect(again.lines).toEqual(once.lines);
    expect([again.hash, untraced.hash]).toEqual([once.hash, once.hash]);
  }
}, 60_000);

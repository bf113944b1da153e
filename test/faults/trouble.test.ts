import { afterEach, beforeAll, expect, test } from "vitest";
import { setUpWorld } from "../stories/story.ts";
import { deploy } from "../world.ts";
import { pause } from "./outside.ts";
import { differences, type Played, play } from "./play.ts";
import { definitions, scenarios } from "./scenarios.ts";
import { cause, type Trouble, troubles } from "./trouble.ts";

/** Queues that lose, repeat, delay, reorder and refuse, consumers that die with a batch, and an index that fails or is down: the runs come to the same ends, and the index to the truth. */

const none = { lost: 0, doubled: 0, late: 0, refused: 0, thrownBack: 0, indexFails: 0 };
const badQueues = { lost: 20, doubled: 25, late: 25, refused: 10, thrownBack: 10 };
const runsOfEach = 3;

let calm: readonly Played[];

beforeAll(async () => {
  await setUpWorld();
  deploy(...definitions);
  calm = await Promise.all(scenarios.map((scenario) => play(scenario)));
}, 120_000);
afterEach(() => cause(null));

/** Plays every scenario a few times at once. @returns everything that is wrong. */
async function playAll(): Promise<string[]> {
  const many = Array.from({ length: runsOfEach }, () => scenarios).flat();
  const played = await Promise.all(many.map((scenario) => play(scenario).catch((error: Error) => error)));
  return played.flatMap((it, nth) => {
    const undisturbed = calm[nth % scenarios.length];
    const found = it instanceof Error ? [it.message] : undisturbed ? differences(it, undisturbed) : ["has nothing to be compared with"];
    return found.map((what) => `${many[nth]?.name}: ${what}`);
  });
}

function disturb(trouble: Partial<Trouble>): void {
  const seed = Math.floor(Math.random() * 1_000_000);
  console.log(`The trouble has the seed ${seed}.`);
  for (const what of Object.keys(troubles) as (keyof typeof troubles)[]) troubles[what] = 0;
  cause({ ...none, seed, ...trouble });
}

test("with queues that lose, double, delay and refuse messages, and consumers that throw them back", async () => {
  disturb(badQueues);
  expect(await playAll()).toEqual([]);
  for (const what of ["lost", "doubled", "late", "refused", "thrownBack"] as const) expect(troubles[what], what).toBeGreaterThan(0);
}, 240_000);

test("with an index that fails three times out of ten, before or after it has written", async () => {
  disturb({ indexFails: 30 });
  expect(await playAll()).toEqual([]);
  expect(troubles.indexFails).toBeGreaterThan(0);
}, 240_000);

test("with an index that is down for three seconds, while the queues are bad too", async () => {
  disturb({ ...badQueues, indexFails: 100 });
  const playing = playAll();
  await pause(3_000);
  expect(troubles.indexFails).toBeGreaterThan(0);
  cause(null);
  expect(await playing).toEqual([]);
}, 240_000);

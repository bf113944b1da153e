import { beforeAll, describe, expect, test } from "vitest";
import { setUpWorld } from "../stories/story.ts";
import { deploy } from "../world.ts";
import { differences, play } from "./play.ts";
import { type Death, type Fault, pointsPassed } from "./points.ts";
import { definitions, scenarios } from "./scenarios.ts";

/**
 * Every point that a scenario's object passes, with the object dying there: before what it wrote in that turn is durable, or right after. The alarms are the platform's
 * own. Whatever dies, the run ends as it does undisturbed, nothing is recorded twice, and nothing acts beyond its recorded attempts.
 */

beforeAll(async () => {
  await setUpWorld();
  deploy(...definitions);
});

/** The first passing of each point, the last, and one between them. Where the turn wrote something, both deaths. */
function faultsOf(passed: readonly string[]): Fault[] {
  return [...new Set(passed)].flatMap((point) => {
    const times = passed.filter((it) => it === point).length;
    const deaths: Death[] = /written|alarm/.test(point) ? ["at once", "when durable"] : ["at once"];
    return [...new Set([1, Math.ceil(times / 2), times])].flatMap((nth) => deaths.map((death) => ({ point, nth, death })));
  });
}

/** More plays at a time would have the one thread of workerd starve the queues, which then look lost. */
const lanes = 16;

async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let nth = next++; nth < items.length; nth = next++) results[nth] = await work(items[nth] as T);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

describe.each(scenarios)("$name", (scenario) => {
  test("comes to the same end, whichever point its object dies at", async () => {
    const calm = await play(scenario);
    expect(calm.broken).toEqual([]);
    const faults = faultsOf(pointsPassed(calm.id));
    const played = await inLanes(faults, (fault) => play(scenario, fault).catch((error: Error) => error));
    const wrong = faults.flatMap((fault, nth) => {
      const it = played[nth];
      const found = !it || it instanceof Error ? [it?.message] : differences(it, calm);
      return found.map((what) => `${fault.point}, passing ${fault.nth}, ${fault.death}: ${what}`);
    });
    const struck = played.filter((it) => !(it instanceof Error) && it.struck).length;
    expect(wrong).toEqual([]);
    // Points that depend on timing may not be passed again; most are.
    expect(struck).toBeGreaterThan(faults.length * 0.6);
  }, 240_000);
});

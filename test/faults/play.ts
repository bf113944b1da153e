import { brokenPromises, outcomeOf } from "./outside.ts";
import { arm, type Fault, hasStruck } from "./points.ts";
import type { Scenario } from "./scenarios.ts";

let runs = 0;

/** Plays a scenario to the end that the index shows. @returns what its run came to, what of the promises is broken, and whether the fault came about. */
export async function play(scenario: Scenario, fault: Fault | null = null) {
  const id = `faulty-${++runs}`;
  await scenario.before?.(id);
  if (fault) arm(id, fault);
  await scenario.live(id);
  const outcome = await outcomeOf(id);
  return { id, outcome, broken: await brokenPromises(id), struck: hasStruck(id) };
}

export type Played = Awaited<ReturnType<typeof play>>;

/** What is wrong with a play that was disturbed, compared with one that was not. */
export function differences(it: Played, calm: Played): string[] {
  const [found, wanted] = [JSON.stringify(it.outcome), JSON.stringify(calm.outcome)];
  return [...it.broken, ...(found === wanted ? [] : [`run ${it.id} came to ${found}, and not to ${wanted}`])];
}

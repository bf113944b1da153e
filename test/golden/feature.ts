import type { StartCommand } from "#core/command.ts";
import type { RunOrigin } from "#core/entry.ts";
import { encode } from "#core/value.ts";
import type { Step } from "#sdk/step.ts";
import { type Definitions, flow, World } from "../engine/world.ts";

/** What a golden history is recorded of: a workflow that uses one feature, and what the world around it does. */
export interface Feature {
  readonly name: string;
  /** The code. Once a history of it is stored it stays as it is: change a copy under another name. */
  readonly define: (act: Act) => Definitions;
  readonly start?: Partial<StartCommand>;
  /** What people and services outside do when nothing more happens by itself; false: nothing. It looks at the run's state alone, so that it can go on from anywhere. */
  readonly outside?: (world: World) => boolean | Promise<boolean>;
  /** What goes wrong, after each turn, while the history is recorded, and only then. */
  readonly mishap?: (world: World, definitions: Definitions) => void;
  /** The run is made from that of another feature. */
  readonly from?: { readonly feature: string; readonly origin: RunOrigin };
}

/** An effect of a step on the outside. `answer` throws to fail the attempt. */
export type Act = <T>(step: { readonly key: string; readonly idempotencyKey: string }, answer: () => T) => Promise<T>;

/** A workflow named `p`, as the test worlds start it. */
export function code(run: (step: Step, input: unknown) => Promise<unknown>, options: Parameters<typeof flow>[1] = {}): Definitions["workflows"] {
  return [flow(({ step, input }) => run(step, input), options)];
}

/** A world with the feature's code, in which nothing has begun. */
export function worldOf(feature: Feature): World {
  let world: World;
  world = new World(definitionsOf(feature, () => world));
  return world;
}

function definitionsOf(feature: Feature, at: () => World): Definitions {
  return feature.define(({ key, idempotencyKey }, answer) => at().effect(key, idempotencyKey, answer));
}

/** Begins the feature's run in its world. `source`: another feature's run, played to its end. */
export async function begin(world: World, feature: Feature, source: (feature: string) => Promise<World>): Promise<void> {
  if (feature.from) world.startFrom(await source(feature.from.feature), feature.from.origin, { input: encode("again"), ...feature.start });
  else world.start("p", "in", { ...feature.start });
}

/** Runs until the run has ended. When all is quiet, those outside act; when they have nothing to do, the clock moves on. */
export async function play(world: World, feature: Feature, isRecording: boolean): Promise<void> {
  const definitions = definitionsOf(feature, () => world);
  for (let quiet = 0, left = 20_000; left > 0; left--) {
    const happened = await world.turn();
    if (isRecording) feature.mishap?.(world, definitions);
    if (world.run.engine.state.ended) return;
    quiet = happened ? 0 : quiet + 1;
    if (quiet < 3) continue;
    quiet = 0;
    if (await feature.outside?.(world)) continue;
    const next = Math.min(world.run.alarmAt ?? Number.POSITIVE_INFINITY, world.clock.nextTimerAt() ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(next)) throw new Error(`${feature.name}: the run is ${world.status} and nothing will ever wake it.`);
    world.clock.set(Math.max(next, world.clock.now()));
  }
  throw new Error(`${feature.name}: the run is ${world.status} and comes to no end.`);
}

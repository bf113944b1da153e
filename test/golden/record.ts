import type { Recorded } from "#core/entry.ts";
import type { World } from "../engine/world.ts";
import { begin, type Feature, play, worldOf } from "./feature.ts";
import { features } from "./features.ts";
import { commitsOf, withoutPlaces } from "./history.ts";
import { store, version } from "./stored.ts";

/**
 * `node test/golden/record.ts`: plays every feature and stores its history under the version in package.json, where there is none yet. Run it when a version
 * is released, and when a feature comes.
 */
const home = new URL("../../", import.meta.url);

for (const feature of features) {
  const { world, commits } = await played(feature);
  const idempotencyKeys = Object.fromEntries(world.effects.map((effect) => [effect.key, effect.idempotencyKey]));
  const isNew = store({ version, feature: feature.name, idempotencyKeys, commits: withoutPlaces(commits, home) });
  console.log(`${feature.name}: ${isNew ? `${world.entries.length} entries` : "is there"}`);
}

async function played(feature: Feature): Promise<{ readonly world: World; readonly commits: readonly Recorded[][] }> {
  const world = worldOf(feature);
  const commits = commitsOf(world);
  await begin(world, feature, async (name) => (await played(features.find((it) => it.name === name) as Feature)).world);
  await play(world, feature, true);
  return { world, commits: commits() };
}

import type { Entry, Recorded } from "#core/entry.ts";
import type { World } from "../engine/world.ts";

/** A golden history: what a released version of Segno wrote into the journal of a run. In a file: one line of facts about it, then one line a commit. */
export interface History {
  readonly version: string;
  readonly feature: string;
  /** The idempotency keys that its effects carried, by step. A remote remembers them, so they may never change. */
  readonly idempotencyKeys: Readonly<Record<string, string>>;
  /** Entries that were appended together, and so are either all there or none. */
  readonly commits: readonly (readonly Recorded[])[];
}

/** Of a file's text. */
export function historyOf(version: string, text: string): History {
  const [head = "", ...commits] = text.trim().split("\n");
  return { version, ...JSON.parse(head), commits: commits.map((line) => JSON.parse(line)) };
}

/** Notes which entries a world's journal gets in one commit. @returns the commits so far. */
export function commitsOf(world: World): () => Recorded[][] {
  const { journal } = world.run;
  const append = journal.append.bind(journal);
  const ends: number[] = [];
  journal.append = (entries) => {
    const size = append(entries);
    ends.push(size);
    return size;
  };
  return () => {
    const entries = journal.page(0, 100_000);
    // A crash takes commits away; what was appended in their place ends elsewhere.
    const bounds = [...new Set(ends)].sort((a, b) => a - b).filter((end) => end <= entries.length);
    return bounds.map((end, nth) => entries.slice(bounds[nth - 1] ?? 0, end));
  };
}

/** The stacks of recorded errors name files by their place in the repository: `home` and where else packages may lie are of one machine. */
export function withoutPlaces(commits: readonly (readonly Recorded[])[], home: URL): readonly Recorded[][] {
  const text = JSON.stringify(commits)
    .replaceAll(home.href, "segno/")
    .replaceAll(/file:[^\s")]*?\/(?=node_modules\/)/g, "segno/");
  if (text.includes("file:")) throw new Error(`A stack names a file outside of the repository: ${text.slice(text.indexOf("file:")).slice(0, 200)}`);
  return JSON.parse(text);
}

/** Puts recorded entries into a world's journal, as an object finds them that is loaded a moment later. */
export function takeUp(world: World, entries: readonly Recorded[]): void {
  const last = entries.at(-1);
  if (last) world.clock.set(Math.max(world.clock.now(), ...entries.map((entry) => entry.at)));
  world.run.journal.append(entries.map(({ seq: _seq, ...entry }): Entry => entry as Entry));
  world.run.endTurn();
  world.run.engine.repair(null);
}

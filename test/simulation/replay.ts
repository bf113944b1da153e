import type { Entry } from "#core/entry.ts";
import { checkFold } from "./oracles.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { broken } from "./violation.ts";

/** Turns of the event loop after which nobody listens for silence any more. */
const longestReplay = 1000;

/**
 * O8 of an ended run as a whole: its journal but for the end, replayed from the top on fresh memory, tells the code the same story, and the run comes to the same
 * end and the same state. `endTurn` runs every microtask.
 */
export function checkReplay(object: SimulatedObject, endTurn: () => void): void {
  const { world, model } = object;
  if (!model.ended) return;
  const { engine, ended } = object.beginReplay();
  const { length } = object.entries;
  const open = new Set(engine.state.open.keys());
  engine.wake();
  endTurn();
  for (let turn = 0; world.idlers.length > 0; turn++) {
    if (turn > longestReplay) broken("O8", "a full replay comes to no rest");
    const { idlers } = world;
    world.idlers = [];
    for (const idler of idlers) idler();
    endTurn();
  }
  if (world.violation) return;
  const isWhole = object.checkReplayedStory();
  // Somebody ended it, or time did: the code may have been anywhere.
  if (ended.status === "terminated" || (!model.rollback && (ended.status === "cancelled" || ended.reason === "run_timeout"))) return;
  const recorded = object.entries.slice(length);
  // Time would have ended it at the very same moment.
  if (model.deadlineAt !== null && model.deadlineAt <= world.hostNow) return;
  const next = recorded.filter((entry) => entry.kind !== "run.unblocked" && !("key" in entry && entry.key.startsWith("~notice:")));
  if (next[0]?.kind !== "run.ended") {
    // What was under way is lost on fresh memory, and what was due is done first.
    if (next[0] && "key" in next[0] && open.has(next[0].key)) return;
    broken("O8", `a full replay is followed by ${next[0]?.kind ?? "nothing"}, and not by the end of the run`);
  }
  if (textOf(next[0]) !== textOf(ended)) broken("O8", `a full replay ends as ${textOf(next[0])}; the run has ended as ${textOf(ended)}`);
  // The function of a held run may have ended, and yet get results until the run is let go and ends.
  const wasHeld = object.entries.some((entry) => entry.kind === "run.paused");
  if (!isWhole && !model.rollback && !wasHeld) broken("O8", "a full replay tells the code less than it has seen");
  if (recorded.length === 1) checkFold(object, engine);
}

function textOf(entry: Entry): string {
  return JSON.stringify({ ...entry, seq: 0, at: 0 });
}

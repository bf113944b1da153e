import type { Execution } from "./execution.ts";

/** After so many leases without a sign of life from code that is in no step, the run is stalled. */
const stalledAfterWakes = 20;

/** What the author of a stalled run should do. */
export const stalledMessage =
  "The code has been waiting for something that is no step. Put what it awaits into a step, so that it can be recorded and timed out.";

/** Watches for code that waits for ever for what is no step: it would keep its object for ever. */
export class StallWatch {
  #lastActivity = -1;
  #silentWakes = 0;

  /** Called at every wake. True when it has been long enough. */
  sawWake(execution: Execution | null): boolean {
    const activity = execution?.idlesOutsideSteps ? execution.activity : -1;
    this.#silentWakes = activity >= 0 && activity === this.#lastActivity ? this.#silentWakes + 1 : 0;
    this.#lastActivity = activity;
    if (this.#silentWakes < stalledAfterWakes) return false;
    this.#silentWakes = 0;
    return true;
  }
}

import type { RunState } from "#core/run-state.ts";
import { nextDeadline } from "#core/run-view.ts";

/** What the engine has to do by time beside what the journal knows of. Times are epoch ms; infinity, or null: nothing. */
export interface EngineDeadlines {
  readonly publishAt: number | null;
  /** The next message to send again, or executor to give up. */
  readonly dispatchAt: () => number;
  /** When a rollback no longer waits for executors. */
  readonly stopAt: () => number;
  readonly noticeAt: () => number;
  /** When a blocked run looks whether it can go on. */
  readonly blockedPollAt: number;
  /** While code executes: when it counts as lost. */
  readonly leaseAt: number | null;
  /** A retry that is due earlier has nobody to make it yet: the code replays, and the end of the replay makes it. */
  readonly retriesFrom: number;
}

/** When something must happen, sending to the index included, epoch ms; null: nothing by time. */
export function nextWakeAt(state: RunState, deadlines: EngineDeadlines): number | null {
  const publishAt = deadlines.publishAt ?? Number.POSITIVE_INFINITY;
  const at = state.ended ? publishAt : Math.min(publishAt, runWakeAt(state, deadlines));
  return Number.isFinite(at) ? at : null;
}

function runWakeAt(state: RunState, { dispatchAt, stopAt, noticeAt, blockedPollAt, leaseAt, retriesFrom }: EngineDeadlines): number {
  const due = Math.max(Math.min(nextDeadline(state) ?? Number.POSITIVE_INFINITY, stopAt()), retriesFrom);
  const standing = Math.min(due, dispatchAt(), leaseAt ?? Number.POSITIVE_INFINITY);
  if (state.paused) return standing;
  if (state.blocked) return leaseAt === null ? Math.min(standing, blockedPollAt) : standing;
  return Math.min(standing, noticeAt());
}

/** Whether there is something that the code could do, for all that the journal says. */
export function mayExecute({ ended, started, blocked, paused }: RunState): boolean {
  return started && !ended && !blocked && !paused;
}

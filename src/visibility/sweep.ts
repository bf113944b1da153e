import { isFinal, type RunStatus, runStatuses } from "#core/run.ts";

/** Enough to wake a run. */
export interface RunRef {
  readonly namespace: string;
  readonly id: string;
}

export interface VersionCount {
  readonly version: string;
  readonly status: RunStatus;
  /** Runs of this version that stand at this status. */
  readonly runs: number;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** How late a wake must be before the sweeper helps: the platform retries a failed alarm by itself within this time. */
const overdueMs = 2 * minuteMs;

/** How long a run without a wake time stays alone after its last change. */
const staleMs = 10 * minuteMs;

/** Word for word the condition of the index runs_by_wake; SQLite does not use the index for a query that says it otherwise. */
const isOpen = "status NOT IN ('completed', 'failed', 'cancelled', 'terminated')";

const selectOverdue = `
  SELECT namespace, id FROM runs INDEXED BY runs_by_wake
  WHERE ${isOpen} AND next_wake_at < ?1
  ORDER BY next_wake_at < ?2, CASE WHEN next_wake_at < ?2 THEN random() ELSE next_wake_at END
  LIMIT ?3`;

/** ?1 minutes since the epoch, ?2 now, ?3 the limit. The period of a run, in minutes, is 10 in its first hour, 60 in its first day, then a day. */
const selectStale = `
  SELECT namespace, id FROM runs INDEXED BY runs_by_wake
  WHERE ${isOpen} AND next_wake_at IS NULL AND updated_at < ?2 - ${staleMs}
    AND (?1 + updated_at) % (CASE WHEN updated_at > ?2 - ${60 * minuteMs} THEN 10 WHEN updated_at > ?2 - ${dayMs} THEN 60 ELSE 1440 END) = 0
  ORDER BY random()
  LIMIT ?3`;

const openStatuses = runStatuses.filter((status) => !isFinal(status));

/** The statuses are named one by one, so that the index by status is searched; it reads every open run of the namespace, and no ended one. */
const selectVersions = `
  SELECT version, status, count(*) AS runs FROM runs INDEXED BY runs_by_status
  WHERE namespace = ?1 AND status IN (${openStatuses.map((status) => `'${status}'`).join(", ")}) AND status <> 'completed' AND workflow = ?2
  GROUP BY version, status ORDER BY version, status`;

/**
 * Runs whose alarm the platform seems to have lost: not final, and due more than two minutes before `now` (epoch ms); of all namespaces, at
 * most `limit`, oldest first. Waking a run twice changes nothing, so the answer may be used however often.
 *
 * A run that leaves the list must send a newer summary when it is woken. One overdue for more than a day was woken over a thousand times
 * in vain: such runs come last and in random order, so that they can't keep the others from their turn, nor each other.
 */
export async function overdueRuns(db: D1Database, now: number, limit: number): Promise<RunRef[]> {
  const found = await db
    .prepare(selectOverdue)
    .bind(now - overdueMs, now - dayMs, limit)
    .all<RunRef>();
  return found.results;
}

/**
 * Runs that wait for something without a time (an event, a person, a missing version) or were last seen while running, and whose
 * change may have been lost on its way here: not final, no wake time, unchanged for ten minutes; of all namespaces, at most `limit`.
 *
 * Meant to be called once a minute. Nothing is written down to remember whose turn it was: each run has its own minute, from the
 * milliseconds of its last change, and is given when the clock's minute meets it: every 10 minutes in the hour after that change, hourly in the
 * first day, then daily. So a thousand runs that wait for months cost less than one wake a minute. A call missed is a turn missed. With more
 * than `limit` in one minute, chance picks, and nobody is passed over for ever.
 */
export async function staleRuns(db: D1Database, now: number, limit: number): Promise<RunRef[]> {
  const found = await db
    .prepare(selectStale)
    .bind(Math.floor(now / minuteMs), now, limit)
    .all<RunRef>();
  return found.results;
}

/** What has not ended, by version and status: the drain view, which tells when old code may go. Versions in the order of their text; none, when all is drained. */
export async function countByVersion(db: D1Database, namespace: string, workflow: string): Promise<VersionCount[]> {
  const found = await db.prepare(selectVersions).bind(namespace, workflow).all<VersionCount>();
  return found.results;
}

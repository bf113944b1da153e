import type { z } from "@hono/zod-openapi";
import { faultCodeOf } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import type { RunHandle } from "#objects/runs.ts";
import type { RunQuery } from "#visibility/query.ts";
import type { ApiPorts } from "./api-context.ts";
import { actOnIndexed, type DeadLetterAct, deadLetterOf } from "./dead-letter.ts";
import type { BulkBody, BulkPlanView, BulkResultView } from "./dead-letter-contract.ts";

/** One thing done with many dead letters: found by the index, done by the runs, each of which decides for itself. */

/** Runs that one request acts on: each is a call to its object, and the platform bounds the calls of a request. Beyond: the answer says how many remain. */
const runsPerRequest = 500;

/** Runs that are asked at the same time. */
const runsAtOnce = 20;

const sampled = 10;

/** The filter of a bulk request as the parameters of a list. */
export function* filterParameters(filter: z.infer<typeof BulkBody>["filter"]): Generator<readonly [string, string]> {
  for (const [name, value] of Object.entries(filter)) {
    for (const one of Array.isArray(value) ? value : [value]) yield [name, String(one)];
  }
}

/** Oldest first, so that what parks meanwhile does not push anything off its page. */
export function bulkQuery(query: RunQuery, cursor: string | undefined): RunQuery {
  return { ...query, sort: { field: "createdAt", direction: "asc" }, cursor };
}

/** How many dead letters match, and some of them. */
export async function bulkPlan(ports: ApiPorts, query: RunQuery): Promise<z.infer<typeof BulkPlanView>> {
  const [count, { runs }] = await Promise.all([ports.countDeadLetters(query), ports.search({ ...query, limit: sampled })]);
  return { count, runIds: runs.map((run) => run.id) };
}

/** Acts on those that match, up to a number. @throws Fault `invalid_cursor`. */
export async function actOnMany(ports: ApiPorts, query: RunQuery, act: DeadLetterAct): Promise<z.infer<typeof BulkResultView>> {
  const matching = await ports.countDeadLetters(query);
  const skipped: { runId: string; code: string }[] = [];
  let asked = 0;
  let cursor: string | null = query.cursor ?? null;
  do {
    const page = await ports.search({ ...query, limit: Math.min(limits.pageSize, runsPerRequest - asked), cursor: cursor ?? undefined });
    for (let first = 0; first < page.runs.length; first += runsAtOnce) {
      const answers = await Promise.all(page.runs.slice(first, first + runsAtOnce).map((run) => actOnOne(ports.run(run.namespace, run.id), act, run)));
      skipped.push(...answers.filter((answer) => answer !== null));
    }
    asked += page.runs.length;
    cursor = page.nextCursor;
  } while (cursor !== null && asked < runsPerRequest);
  return { done: asked - skipped.length, skipped, remaining: cursor === null ? 0 : Math.max(0, matching - asked), nextCursor: cursor };
}

/** Null when it was done. A run that refuses, or can't be reached, must not keep the others from their turn. */
async function actOnOne(handle: RunHandle, act: DeadLetterAct, run: RunSummary): Promise<{ runId: string; code: string } | null> {
  const letter = deadLetterOf(run);
  if (!letter) return { runId: run.id, code: "not_paused" };
  try {
    await actOnIndexed(handle, act, letter);
    return null;
  } catch (error) {
    return { runId: run.id, code: faultCodeOf(error) ?? "internal" };
  }
}

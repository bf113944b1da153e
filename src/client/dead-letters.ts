import { type OperatorOptions, operate, operateWith, type RetryOptions } from "./operator.ts";
import { type DeadLetterFilter, type DeadLetterListFilter, filterQuery, filterRecord } from "./run-filter.ts";
import { type DeadLetter, type DeadLetterGroup, type Run, readDeadLetter, readDeadLetterGroup, readPage, readRun } from "./run-view.ts";
import type { Transport } from "./transport.ts";

/** Why many dead letters are acted on. */
export interface BulkOptions {
  /** Recorded with every run. */
  readonly reason?: string;
}

/** What became of many dead letters. */
export interface BulkResult {
  readonly done: number;
  /** Runs that were left as they are, and why: `not_paused` when another redrive came first. */
  readonly skipped: readonly { readonly runId: string; readonly code: string }[];
}

/** Runs that wait for a person because a step failed: found, read, tried again, given up. Every method throws SegnoError. */
export interface DeadLettersClient {
  /** One page, from the index. @throws SegnoError `invalid_request` or `invalid_cursor`. */
  list(filter?: DeadLetterListFilter): Promise<{ readonly deadLetters: readonly Run[]; readonly nextCursor: string | null }>;
  /** All that match, read page by page. */
  iterate(filter?: DeadLetterListFilter): AsyncGenerator<Run, void, undefined>;
  /** By what failed, the largest groups first. `more`: there are smaller ones. */
  groups(filter?: DeadLetterFilter & { readonly limit?: number }): Promise<{ readonly groups: readonly DeadLetterGroup[]; readonly more: boolean }>;
  /** The step that waits, its input and what failed. @throws SegnoError `not_found` for a run that is no dead letter. */
  get(runId: string): Promise<DeadLetter>;
  /**
   * Tries again what waits, with a corrected input of the step if one is given. @throws SegnoError `not_paused` when the run is no dead letter any more, so also
   * when the answer to this very call was lost on the way.
   */
  redrive(runId: string, options?: RetryOptions): Promise<Run>;
  /** Gives the run up: it ends as terminated. A repeat changes nothing. @throws SegnoError `not_paused`. */
  discard(runId: string, options: OperatorOptions & { readonly reason: string }): Promise<Run>;
  /** How many match, and some of them: what the next two would act on. */
  count(filter?: DeadLetterFilter): Promise<{ readonly count: number; readonly runIds: readonly string[] }>;
  /** Tries all that match again, however many requests that takes. Each goes on once, though this be called again. */
  redriveAll(filter: DeadLetterFilter, options?: BulkOptions): Promise<BulkResult>;
  /** Gives all up that match. */
  discardAll(filter: DeadLetterFilter, options: BulkOptions & { readonly reason: string }): Promise<BulkResult>;
}

const path = "/v1/dead-letters";

/** The dead letters of a Segno. */
export function deadLettersClient(transport: Transport): DeadLettersClient {
  const list: DeadLettersClient["list"] = async (filter = {}) => {
    const { body } = await transport({ method: "GET", path, query: filterQuery(filter) });
    const { items, nextCursor } = readPage(body, "deadLetters", readRun);
    return { deadLetters: items, nextCursor };
  };
  const runPath = (runId: string): string => `${path}/${encodeURIComponent(runId)}`;
  return {
    list,
    iterate: async function* (filter = {}) {
      for (let cursor = filter.cursor ?? null, first = true; first || cursor !== null; first = false) {
        const page = await list(cursor === null ? filter : { ...filter, cursor });
        yield* page.deadLetters;
        cursor = page.nextCursor;
      }
    },
    groups: async (filter = {}) => {
      const { body } = await transport({ method: "GET", path: `${path}/groups`, query: filterQuery(filter) });
      return { groups: readPage(body, "groups", readDeadLetterGroup).items, more: (body as { readonly more: boolean }).more };
    },
    get: async (runId) => readDeadLetter((await transport({ method: "GET", path: runPath(runId) })).body),
    redrive: (runId, options = {}) => operateWith(transport, `${runPath(runId)}/redrive`, "input", options),
    discard: (runId, options) => operate(transport, `${runPath(runId)}/discard`, options),
    count: async (filter = {}) => {
      // Nothing is done, so the action says only which request this is.
      const { body } = await transport({ method: "POST", path: `${path}/bulk`, body: { filter: filterRecord(filter), action: "redrive", dryRun: true } });
      return body as { readonly count: number; readonly runIds: readonly string[] };
    },
    redriveAll: (filter, options = {}) => actOnAll(transport, { filter: filterRecord(filter), action: "redrive", ...options }),
    discardAll: (filter, options) => actOnAll(transport, { filter: filterRecord(filter), action: "discard", ...options }),
  };
}

async function actOnAll(transport: Transport, request: object): Promise<BulkResult> {
  let done = 0;
  const skipped: { readonly runId: string; readonly code: string }[] = [];
  let cursor: string | undefined;
  do {
    const { body } = await transport({ method: "POST", path: `${path}/bulk`, body: { ...request, cursor } });
    const answer = body as BulkResult & { readonly nextCursor: string | null };
    done += answer.done;
    skipped.push(...answer.skipped);
    cursor = answer.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return { done, skipped };
}

import { createApi } from "#api/app.ts";
import { RunSummary } from "#core/run.ts";
import type { Clock, EngineSettings } from "#engine/ports.ts";
import { consoleLog } from "#objects/console-log.ts";
import { executeSteps, failDeadSteps } from "#objects/executor.ts";
import { type RunObjectEnv, runObjectClass } from "#objects/run-object.ts";
import { type RunHandle, type RunNamespace, runHandle } from "#objects/runs.ts";
import { systemClock } from "#objects/system.ts";
import { createRegistry, type Definitions, type Registry } from "#sdk/registry.ts";
import { searchApprovals } from "#visibility/approvals.ts";
import { countDeadLetters, deadLetterGroups } from "#visibility/dead-letters.ts";
import { forgetRun } from "#visibility/forget.ts";
import { projectSummaries } from "#visibility/project.ts";
import { searchRuns } from "#visibility/search.ts";
import { overdueRuns, staleRuns } from "#visibility/sweep.ts";

/** The bindings of a Segno Worker, as `wrangler.toml` declares them. */
export interface SegnoEnv extends RunObjectEnv {
  readonly RUNS: RunNamespace;
  readonly INDEX: D1Database;
  /** The API key of the namespace `default`. */
  readonly SEGNO_API_KEY?: string;
  /** More keys: `namespace:key`, separated by commas or line breaks. */
  readonly SEGNO_API_KEYS?: string;
  /** Proves that an interaction comes from Slack; see `slackApprovalBlocks`. */
  readonly SLACK_SIGNING_SECRET?: string;
  /** `development` accepts the well-known local key. Anything else is production. */
  readonly SEGNO_ENV?: string;
  /** Where this Segno is reached from outside, for callback URLs. Default: the address of the request that started the run. */
  readonly SEGNO_URL?: string;
}

export interface SegnoOptions extends Definitions {
  /** Leases and resend times; see `EngineSettings`. */
  readonly settings?: Partial<EngineSettings>;
}

/** What `segno` makes: the Worker's handlers, and the class that it must export under the name `RunObject`. */
export interface Segno {
  readonly worker: Required<Pick<ExportedHandler<SegnoEnv>, "fetch" | "queue" | "scheduled">>;
  readonly RunObject: ReturnType<typeof runObjectClass>;
}

/**
 * Composes a Segno Worker from definitions.
 * @throws Fault `invalid_name` when two definitions share a name and version.
 * @example
 * const app = segno({ workflows: [onboard], automations: [createProject] });
 * export const RunObject = app.RunObject;
 * export default app.worker;
 */
export function segno(options: SegnoOptions): Segno {
  return compose({ registry: createRegistry(options), clock: systemClock, settings: options.settings ?? {} });
}

export interface Composition {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly settings: Partial<EngineSettings>;
}

/** As `segno`, from the parts: for tests that bring their own clock and registry. */
export function compose(parts: Composition): Segno {
  const { registry, clock } = parts;
  const api = createApi<SegnoEnv>({
    registry,
    newId: () => crypto.randomUUID(),
    ports: (env) => ({
      run: (namespace, id) => runHandle(env.RUNS, namespace, id),
      search: (query) => searchRuns(env.INDEX, query),
      approvals: (query) => searchApprovals(env.INDEX, query, clock.now()),
      deadLetterGroups: (query) => deadLetterGroups(env.INDEX, query),
      countDeadLetters: (query) => countDeadLetters(env.INDEX, query),
    }),
  });
  return {
    RunObject: runObjectClass(parts),
    worker: {
      fetch: (request, env, context) => api.fetch(request, env, context),
      queue: async (batch, env) => {
        const run = (namespace: string, runId: string): RunHandle => runHandle(env.RUNS, namespace, runId);
        if (batch.queue.endsWith("-summaries")) await indexSummaries(batch, env.INDEX, run);
        else if (batch.queue.endsWith("-dead")) await failDeadSteps(batch, { registry, clock, run });
        else await executeSteps(batch, { registry, clock, run });
      },
      scheduled: (_controller, env) => sweep(env, clock.now()),
    },
  };
}

/** Writes a batch of summaries into the index, and tells each run that it is there. What can't be written or told is delivered again. */
async function indexSummaries(batch: MessageBatch<unknown>, index: D1Database, run: (namespace: string, runId: string) => RunHandle): Promise<void> {
  const summaries = batch.messages.map((message) => RunSummary.safeParse(message.body)).flatMap((parsed) => (parsed.success ? [parsed.data] : []));
  const dropped = batch.messages.length - summaries.length;
  if (dropped > 0) consoleLog({ queue: batch.queue }).error("Messages that are no summaries were dropped.", { count: dropped });
  try {
    await projectSummaries(index, summaries);
  } catch (error) {
    consoleLog({ queue: batch.queue }).warn("The index could not be written; the summaries are delivered again.", {
      error: String(error),
      count: summaries.length,
    });
    return batch.retryAll({ delaySeconds: 5 });
  }
  // A run that can't be told sends its summary again by itself, so a failure here needs no redelivery.
  const told = await Promise.allSettled(summaries.map((summary) => run(summary.namespace, summary.id).indexed(summary.seq)));
  // A summary that was on its way when its run was removed must not bring it back.
  const gone = summaries.filter((_summary, index) => told[index]?.status === "fulfilled" && told[index].value === false);
  await Promise.allSettled(gone.map((summary) => forgetRun(index, summary.namespace, summary.id)));
  batch.ackAll();
}

/** Runs that one sweep wakes at most, so that a sweep after an outage is no stampede. */
const sweepLimit = 500;

/** Wakes what the platform forgot, and what the index may have missed a change of. */
async function sweep(env: SegnoEnv, now: number): Promise<void> {
  const found = await Promise.all([overdueRuns(env.INDEX, now, sweepLimit), staleRuns(env.INDEX, now, sweepLimit)]);
  await Promise.allSettled(found.flat().map(({ namespace, id }) => runHandle(env.RUNS, namespace, id).poke()));
}

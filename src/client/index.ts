import type { AttributeInput } from "#core/attributes.ts";
import type { Duration } from "#core/duration.ts";
import { encode } from "#core/value.ts";
import type { AnyWorkflow, InputOf, OutputOf, Workflow } from "#sdk/workflow.ts";
import { type DeadLettersClient, deadLettersClient } from "./dead-letters.ts";
import { filterQuery, type RunFilter } from "./run-filter.ts";
import { outputOf, type RunHandle, runHandle, type StartedRun, waitQuery } from "./run-handle.ts";
import { type Run, readDetail, readPage, readRun } from "./run-view.ts";
import { type Call, type ClientOptions, createTransport, type Transport } from "./transport.ts";

/** The door of `segno/client`: Segno over HTTP, typed by the workflow definitions, which it imports as types only. */
export type { BulkOptions, BulkResult, DeadLettersClient } from "./dead-letters.ts";
export type { ForkOptions, ForkPlan, OperatorOptions, RetryOptions, RollbackOptions } from "./operator.ts";
export type { AttributeCondition, DeadLetterFilter, DeadLetterListFilter, RunFilter } from "./run-filter.ts";
export type { EventOptions, RunHandle, StartedRun } from "./run-handle.ts";
export type {
  ApprovalState,
  Attempt,
  AuditRecord,
  DeadLetter,
  DeadLetterGroup,
  ErrorSummary,
  JournalEntry,
  Reason,
  Run,
  RunDetail,
  Step,
} from "./run-view.ts";
// biome-ignore lint/performance/noBarrelFile: this is the package's door
export { SegnoError, type SegnoErrorCode } from "./segno-error.ts";
export type { ClientOptions, Fetch } from "./transport.ts";

/** What a start may ask for beside its input. */
export interface StartOptions {
  /** The id of the run. A second start with the same id and input gives the first run; with another input it throws `run_exists`. */
  readonly id?: string;
  /** As `id`, for a key of any form. Default: a new one for every call of `start`, so that its own repetitions start one run. */
  readonly idempotencyKey?: string;
  /** Default: the newest. */
  readonly version?: string;
  /** Beside those that the workflow derives from its input; these win. */
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** The run begins after this time. */
  readonly delay?: Duration;
  /** Answer when the run has ended or this time, at most a minute, is over. Default: at once. */
  readonly wait?: Duration;
}

/** The input may be left out where the workflow takes none. */
export type StartArguments<Input> = undefined extends Input ? [input?: Input, options?: StartOptions] : [input: Input, options?: StartOptions];

/** A workflow, from outside. */
export interface WorkflowClient<Input, Output> {
  readonly name: string;
  /**
   * Starts a run. Whatever the network does meanwhile, one call starts one run.
   * @throws SegnoError `invalid_input`, `run_exists`, `workflow_not_found`, `version_not_found`, `invalid_id`, `invalid_attributes`.
   */
  start(...args: StartArguments<Input>): Promise<StartedRun<Output>>;
  /** One of its runs. */
  run(id: string): RunHandle<Output>;
}

/** A Segno, from outside, as one API key sees it. */
export interface SegnoClient {
  /** A workflow by its definition or, where only its type is at hand, by its name: `client.workflow<typeof onboard>("customer-onboarding")`. */
  workflow<W extends AnyWorkflow>(definition: W): WorkflowClient<InputOf<W>, OutputOf<W>>;
  workflow<W extends AnyWorkflow = Workflow>(name: string): WorkflowClient<InputOf<W>, OutputOf<W>>;
  /** A run by its id. */
  run(id: string): RunHandle;
  readonly runs: {
    /** One page. @throws SegnoError `invalid_request` or `invalid_cursor`. */
    list(filter?: RunFilter): Promise<{ readonly runs: readonly Run[]; readonly nextCursor: string | null }>;
    /** All that match, read page by page. */
    iterate(filter?: RunFilter): AsyncGenerator<Run, void, undefined>;
  };
  /** Runs that wait for a person because a step failed. */
  readonly deadLetters: DeadLettersClient;
}

/**
 * A client of a Segno. It keeps no state and opens nothing; make one wherever you need it. Values keep their types both ways: a Date stays a Date.
 * @example
 * const segno = createClient({ url: "https://segno.example.com", apiKey: env.SEGNO_API_KEY });
 * const run = await segno.workflow(onboard).start({ customer: "acme" }, { id: "onboard-acme" });
 * const { projectId } = await run.result();
 */
export function createClient(options: ClientOptions): SegnoClient {
  const transport = createTransport(options);
  const list = async (filter: RunFilter = {}): Promise<{ readonly runs: readonly Run[]; readonly nextCursor: string | null }> => {
    const { body } = await transport({ method: "GET", path: "/v1/runs", query: filterQuery(filter) });
    const { items, nextCursor } = readPage(body, "runs", readRun);
    return { runs: items, nextCursor };
  };
  return {
    workflow: <W extends AnyWorkflow>(workflow: W | string) =>
      workflowClient<InputOf<W>, OutputOf<W>>(transport, typeof workflow === "string" ? workflow : workflow.name),
    run: (id) => runHandle(transport, id),
    deadLetters: deadLettersClient(transport),
    runs: {
      list,
      iterate: async function* (filter = {}) {
        let page = await list(filter);
        yield* page.runs;
        while (page.nextCursor !== null) {
          page = await list({ ...filter, cursor: page.nextCursor });
          yield* page.runs;
        }
      },
    },
  };
}

function workflowClient<Input, Output>(transport: Transport, name: string): WorkflowClient<Input, Output> {
  return {
    name,
    run: (id) => runHandle(transport, id),
    start: async (...[input, options = {}]) => {
      const { status, body } = await transport(startCall(name, input, options));
      return startedRun<Output>(transport, body, status === 201);
    },
  };
}

/** The key is made here, once, so that a repetition of the request is the same start. */
function startCall(name: string, input: unknown, options: StartOptions): Call {
  const { id, version, delay, wait } = options;
  const idempotencyKey = options.idempotencyKey ?? (id === undefined ? crypto.randomUUID() : undefined);
  const attributes =
    options.attributes && Object.fromEntries(Object.entries(options.attributes).map(([key, value]) => [key, value instanceof Date ? value.getTime() : value]));
  return {
    method: "POST",
    path: `/v1/workflows/${encodeURIComponent(name)}/runs`,
    query: waitQuery(wait),
    headers: { "content-values": "devalue", ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }) },
    body: { input: encode(input), id, version, attributes, delay },
  };
}

/** A start that was answered with the end has its result at hand. */
function startedRun<Output>(transport: Transport, body: unknown, created: boolean): StartedRun<Output> {
  const run = readRun(body);
  const handle = runHandle<Output>(transport, run.id);
  const hasEnded = run.endedAt !== null;
  return { ...handle, status: run.status, created, ...(hasEnded && { result: async () => outputOf(readDetail<Output>(body)) }) };
}

import type { Duration } from "#core/duration.ts";
import type { RunStatus } from "#core/run.ts";
import { encode } from "#core/value.ts";
import { type ForkOptions, type ForkPlan, type OperatorOptions, operate, operateWith, type RetryOptions, type RollbackOptions, valueCall } from "./operator.ts";
import {
  type AuditRecord,
  type JournalEntry,
  type Run,
  type RunDetail,
  readAuditRecord,
  readDetail,
  readEntry,
  readPage,
  readRun,
  readStep,
  type Step,
} from "./run-view.ts";
import { SegnoError } from "./segno-error.ts";
import { type Call, pause, type Transport } from "./transport.ts";

/** Rows of a page when everything is read anyway. */
const pageSize = 200;

/** How long one request waits for the end of a run: below the time after which proxies cut an idle request. */
const pollWait = "25s";

/** An answer sooner than this did not wait, whatever the reason. Asking on at that pace would help nobody. */
const hastyAnswerMs = 1000;

/** How an event finds its wait, and how it is told from others. */
export interface EventOptions {
  /** Taken only by waits for this key, and by those for any. */
  readonly key?: string;
  /** An event of this id counts once in the run. Default: a new one for every call of `sendEvent`. */
  readonly id?: string;
}

/** A run, existing or not: nothing is asked before a method is called. Every method throws SegnoError, `run_not_found` where there is none. */
export interface RunHandle<Output = unknown> {
  readonly id: string;
  /**
   * Waits for the end, however long it takes, and gives the output.
   * @throws SegnoError `run_failed` with the run's error as `cause`, `run_cancelled`, `run_terminated`; the signal's reason when it aborts.
   */
  result(options?: { readonly signal?: AbortSignal }): Promise<Output>;
  /** The run as it stands; with `wait`, when it has ended or the time (at most a minute) is over. */
  get(options?: { readonly wait?: Duration; readonly signal?: AbortSignal }): Promise<RunDetail<Output>>;
  /** All steps in the order in which they began, read page by page. */
  steps(): AsyncGenerator<Step, void, undefined>;
  /** @throws SegnoError `step_not_found`. */
  step(key: string): Promise<Step>;
  /** All entries, read page by page. */
  journal(): AsyncGenerator<JournalEntry, void, undefined>;
  /** `step`: the key of the step that took the event; null when it is kept for a wait to come. A repeat with the same id changes nothing. */
  sendEvent(name: string, payload?: unknown, options?: EventOptions): Promise<{ readonly duplicate: boolean; readonly step: string | null }>;
  /** All that people did to the run, read page by page. */
  audit(): AsyncGenerator<AuditRecord, void, undefined>;
  /** Holds the run: what is under way finishes, nothing begins, timers stand still. A repeat changes nothing. @throws SegnoError `run_ended`. */
  pause(options?: OperatorOptions): Promise<Run>;
  /** Lets a held run go on, and tries again what waits for a person. @throws SegnoError `not_paused` when nothing is held or waits, `run_ended`. */
  resume(options?: OperatorOptions): Promise<Run>;
  /** Asks the run to stop; it may clean up, and with `compensate` its steps are undone then. A repeat changes nothing. @throws SegnoError `run_ended`, `rollback_under_way`. */
  cancel(options?: OperatorOptions & { readonly compensate?: boolean }): Promise<Run>;
  /** Ends the run at once. A repeat changes nothing. @throws SegnoError `run_ended`. */
  terminate(options?: OperatorOptions): Promise<Run>;
  /** Tries a step again that is parked or waits for its next attempt. @throws SegnoError `step_not_found`, `step_state`, `run_ended`. */
  retry(step: string, options?: RetryOptions): Promise<Run>;
  /** Ends an open step with an output given by hand; a wait, with its payload. @throws SegnoError as `retry`. */
  complete(step: string, options?: OperatorOptions & { readonly output?: unknown }): Promise<Run>;
  /** Ends an open step without an output. @throws SegnoError as `retry`. */
  skip(step: string, options?: OperatorOptions): Promise<Run>;
  /** Ends an open step with an error that the workflow sees. @throws SegnoError as `retry`. */
  fail(step: string, error: { readonly message: string; readonly code?: string }, options?: OperatorOptions): Promise<Run>;
  /** The steps that a rollback would undo, in that order. @throws SegnoError `step_not_found`. */
  rollbackPlan(from?: string): Promise<readonly string[]>;
  /** Undoes what the run did. A run that has ended stays as it is, and the run that undoes it is answered. @throws SegnoError `nothing_to_undo`, `rollback_under_way`, `step_not_found`. */
  rollback(options?: RollbackOptions): Promise<Run>;
  /** What a fork from a step would keep and repeat. @throws SegnoError `step_not_found`, `step_state`. */
  forkPlan(from: string): Promise<ForkPlan>;
  /** Begins anew from a step, in a new run; one call makes one run. @throws SegnoError `unsafe_repeat`, `step_not_found`, `step_state`, `run_exists`, `version_not_found`. */
  fork(options: ForkOptions): Promise<StartedRun<Output>>;
}

/** A run that was just started, or that the same start had started before. */
export interface StartedRun<Output = unknown> extends RunHandle<Output> {
  /** When the start was answered. */
  readonly status: RunStatus;
  /** False when the run existed before. */
  readonly created: boolean;
}

/** The handle of a run by its id. */
export function runHandle<Output>(transport: Transport, id: string): RunHandle<Output> {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const get = async (options: { readonly wait?: Duration; readonly signal?: AbortSignal } = {}): Promise<RunDetail<Output>> => {
    const { body } = await transport({ method: "GET", path, query: waitQuery(options.wait), signal: options.signal });
    return readDetail<Output>(body);
  };
  return {
    id,
    get,
    result: async (options = {}) => {
      for (;;) {
        const askedAt = Date.now();
        const run = await get({ ...options, wait: pollWait });
        if (run.endedAt !== null) return outputOf(run);
        if (Date.now() - askedAt < hastyAnswerMs) await pause(hastyAnswerMs, options.signal);
      }
    },
    steps: () => pages(transport, `${path}/steps`, (json) => readPage(json, "steps", readStep)),
    step: async (key) => readStep((await transport({ method: "GET", path: `${path}/steps/${encodeURIComponent(key)}` })).body),
    journal: () => pages(transport, `${path}/journal`, (json) => readPage(json, "entries", readEntry)),
    sendEvent: async (name, payload, options) =>
      readEventAnswer((await transport(eventCall(`${path}/events/${encodeURIComponent(name)}`, payload, options))).body),
    audit: () => pages(transport, `${path}/audit`, (json) => readPage(json, "audit", readAuditRecord)),
    ...operations<Output>(transport, path),
  };
}

type Operations<Output> = Pick<
  RunHandle<Output>,
  "pause" | "resume" | "cancel" | "terminate" | "retry" | "complete" | "skip" | "fail" | "rollbackPlan" | "rollback" | "forkPlan" | "fork"
>;

/** What operators do to the run at a path. */
function operations<Output>(transport: Transport, path: string): Operations<Output> {
  const stepPath = (step: string, how: string): string => `${path}/steps/${encodeURIComponent(step)}/${how}`;
  return {
    pause: (options = {}) => operate(transport, `${path}/pause`, options),
    resume: (options = {}) => operate(transport, `${path}/resume`, options),
    cancel: (options = {}) => operate(transport, `${path}/cancel`, options),
    terminate: (options = {}) => operate(transport, `${path}/terminate`, options),
    retry: (step, options = {}) => operateWith(transport, stepPath(step, "retry"), "input", options),
    complete: (step, options = {}) => operateWith(transport, stepPath(step, "complete"), "output", options),
    skip: (step, options = {}) => operate(transport, stepPath(step, "skip"), options),
    fail: (step, { message, code }, options = {}) => operate(transport, stepPath(step, "fail"), { ...options, message, code }),
    rollbackPlan: async (from) => {
      const { body } = await transport({ method: "POST", path: `${path}/rollback`, body: { from, dryRun: true } });
      return (body as { readonly undo: readonly string[] }).undo;
    },
    rollback: (options = {}) => operate(transport, `${path}/rollback`, options),
    forkPlan: async (from) => (await transport({ method: "POST", path: `${path}/fork`, body: { from, dryRun: true } })).body as ForkPlan,
    fork: async (options) => {
      // The id is made here, once, so that a repetition of the request is the same fork.
      const { status, body } = await transport(valueCall(`${path}/fork`, "input", { id: crypto.randomUUID(), ...options }));
      const run = readRun(body);
      return { ...runHandle<Output>(transport, run.id), status: run.status, created: status === 201 };
    },
  };
}

/** The output of a run that has ended. @throws SegnoError `run_failed`, `run_cancelled` or `run_terminated`. */
export function outputOf<Output>(run: RunDetail<Output>): Output {
  // A completed run has an output; that it may be null is the workflow's business.
  if (run.status === "completed") return run.output as Output;
  const why = run.error?.message ?? run.reason?.message ?? "";
  const code = run.status === "cancelled" ? "run_cancelled" : run.status === "terminated" ? "run_terminated" : "run_failed";
  throw new SegnoError(code, `Run ${run.id} ${run.status}: ${why}`, { details: { runId: run.id, status: run.status, reason: run.reason }, cause: run.error });
}

/** The query that asks an answer to wait. */
export function waitQuery(wait: Duration | undefined): URLSearchParams {
  return new URLSearchParams(wait === undefined ? {} : { wait: String(wait) });
}

/** The id is made here, once, so that a repetition of the request is the same event. */
function eventCall(path: string, payload: unknown, options: EventOptions = {}): Call {
  const body = { id: options.id ?? crypto.randomUUID(), key: options.key, payload: encode(payload) };
  return { method: "POST", path, headers: { "content-values": "devalue" }, body };
}

function readEventAnswer(json: unknown): { readonly duplicate: boolean; readonly step: string | null } {
  const { duplicate, step } = json as { readonly duplicate: boolean; readonly step: string | null };
  return { duplicate, step };
}

async function* pages<T>(
  transport: Transport,
  path: string,
  read: (json: unknown) => { readonly items: readonly T[]; readonly nextCursor: string | null },
): AsyncGenerator<T, void, undefined> {
  let after: string | null = "0";
  while (after !== null) {
    const { body } = await transport({ method: "GET", path, query: new URLSearchParams({ after, limit: String(pageSize) }) });
    const page = read(body);
    yield* page.items;
    after = page.nextCursor;
  }
}

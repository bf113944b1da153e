import type { Duration } from "#core/duration.ts";
import type { RunStatus } from "#core/run.ts";
import { encode } from "#core/value.ts";
import { type JournalEntry, type Run, type RunDetail, readDetail, readEntry, readPage, readRun, readStep, type Step } from "./run-view.ts";
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
  /** Asks the run to stop; it may clean up. A repeat changes nothing. @throws SegnoError `run_ended`. */
  cancel(reason?: string): Promise<Run>;
  /** Tries again what waits for a person. @throws SegnoError `not_paused` when nothing does, `run_ended`. */
  resume(reason?: string): Promise<Run>;
  /** Ends the run at once. A repeat changes nothing. @throws SegnoError `run_ended`. */
  terminate(reason?: string): Promise<Run>;
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
  const operate = async (how: "cancel" | "resume" | "terminate", reason: string | undefined): Promise<Run> => {
    const { body } = await transport({ method: "POST", path: `${path}/${how}`, body: { reason } });
    return readRun(body);
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
    cancel: (reason) => operate("cancel", reason),
    resume: (reason) => operate("resume", reason),
    terminate: (reason) => operate("terminate", reason),
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

import type { CallbackTerms, RunDetail, StartCommand, StepRecord } from "#core/command.ts";
import { checkSameStart } from "#core/decision.ts";
import type { CallbackVerification, Recorded, RunCreated } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { isFinal, type RunStatus, type RunSummary } from "#core/run.ts";
import { decode, encode, encodeError, summarizeError } from "#core/value.ts";
import { newRun } from "#engine/new-run.ts";
import type { RunHandle } from "#objects/runs.ts";
import type { Registry } from "#sdk/registry.ts";

/** Runs without objects: they start, end at once or wait, and write down everything that changed them. */
export interface FakeRuns {
  readonly run: (namespace: string, runId: string) => RunHandle;
  /** Every change, in order: what a refused request must not add to. */
  readonly writes: unknown[];
  /** How long each request wanted to wait. */
  readonly waits: number[];
  readonly runs: Map<string, FakeRun>;
  /** The next calls of any run throw these, one each. */
  readonly failures: unknown[];
}

export interface FakeRun {
  readonly created: Recorded<RunCreated>;
  summary: RunSummary;
  output: string | null;
  error: string | null;
  steps: StepRecord[];
  journal: Recorded[];
  readonly callbacks: Map<string, CallbackVerification | null>;
  readonly used: Set<string>;
  readonly events: Set<string>;
}

/** When every fake run was created. */
export const startOfTime = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

/** Runs of the workflow `echo` end at once with their input as output, those of `broken` fail, all others wait. */
export function fakeRuns(registry: Registry): FakeRuns {
  const fakes: FakeRuns = {
    writes: [],
    waits: [],
    runs: new Map(),
    failures: [],
    run: (namespace, runId) => fakeHandle(fakes, registry, `${namespace}:${runId}`),
  };
  return fakes;
}

function fakeHandle(fakes: FakeRuns, registry: Registry, name: string): RunHandle {
  const existing = (): FakeRun => {
    const run = fakes.runs.get(name);
    if (!run) throw new Fault("run_not_found");
    return run;
  };
  const open = (): FakeRun => {
    const run = existing();
    if (isFinal(run.summary.status)) throw new Fault("run_ended");
    return run;
  };
  const answer = async <T>(make: () => T): Promise<T> => {
    const failure = fakes.failures.shift();
    if (failure !== undefined) throw failure;
    return make();
  };
  const end = (status: RunStatus, command: unknown): RunSummary => {
    const run = open();
    fakes.writes.push([status, command]);
    run.summary = { ...run.summary, status, endedAt: startOfTime };
    return run.summary;
  };
  const unused = (): Promise<never> => Promise.reject(new Error("The API has no business here."));
  return {
    start: (command, waitMs) => {
      fakes.waits.push(waitMs);
      return answer(() => start(fakes, registry, name, command));
    },
    sendEvent: (command) =>
      answer(() => {
        const run = open();
        const duplicate = run.events.has(command.eventId);
        if (!duplicate) fakes.writes.push(["event", command]);
        run.events.add(command.eventId);
        return { duplicate, step: null };
      }),
    callbackTerms: (key) => answer(() => terms(existing(), key)),
    callback: (key, payload) =>
      answer(() => {
        const run = existing();
        terms(run, key);
        run.used.add(key);
        fakes.writes.push(["callback", key, decode(payload)]);
        return run.summary;
      }),
    cancel: (command) => answer(() => end("cancelled", command)),
    resume: (command) =>
      answer(() => {
        const run = open();
        if (run.summary.status !== "paused") throw new Fault("not_paused");
        fakes.writes.push(["resumed", command]);
        run.summary = { ...run.summary, status: "running", reason: null };
        return run.summary;
      }),
    terminate: (command) => answer(() => end("terminated", command)),
    detail: (waitMs) => {
      fakes.waits.push(waitMs);
      return answer(() => detail(existing()));
    },
    steps: (after, limit) =>
      answer(() =>
        existing()
          .steps.filter((step) => step.seq > after)
          .slice(0, limit),
      ),
    step: (key) => answer(() => step(existing(), key)),
    journal: (after, limit) =>
      answer(() =>
        existing()
          .journal.filter((entry) => entry.seq > after)
          .slice(0, limit),
      ),
    claim: unused,
    renew: unused,
    settle: unused,
    indexed: unused,
    poke: unused,
  };
}

function start(fakes: FakeRuns, registry: Registry, name: string, command: StartCommand): { run: RunSummary; created: boolean } {
  const known = fakes.runs.get(name);
  if (known) {
    checkSameStart(known.created, command, known.created.value);
    return { run: known.summary, created: false };
  }
  const created = { ...newRun(registry, command, startOfTime), seq: 1 };
  fakes.writes.push(["start", command]);
  const run = newFakeRun(created);
  fakes.runs.set(name, run);
  return { run: run.summary, created: true };
}

/** What `broken` throws. */
export const brokenError = Object.assign(new RangeError("The tank is empty."), { code: "E_EMPTY", litres: 0n });

function newFakeRun(created: Recorded<RunCreated>): FakeRun {
  const ends: Readonly<Record<string, RunStatus>> = { echo: "completed", broken: "failed" };
  const status = ends[created.workflow] ?? "waiting";
  const error = status === "failed" ? encodeError(brokenError) : null;
  const waits = status === "waiting" ? { code: "event", message: "Step paid waits for the event paid.", step: "paid", until: startOfTime + 1000 } : null;
  return {
    created,
    summary: {
      namespace: created.namespace,
      id: created.runId,
      workflow: created.workflow,
      version: created.version,
      status,
      reason: waits,
      step: waits?.step ?? null,
      attributes: created.attributes,
      trigger: created.trigger,
      createdAt: created.at,
      updatedAt: created.at,
      endedAt: isFinal(status) ? created.at : null,
      nextWakeAt: waits?.until ?? null,
      error: error === null ? null : summarizeError(error),
      seq: 1,
    },
    output: status === "completed" ? created.value : null,
    error,
    steps: [],
    journal: [created],
    callbacks: new Map(),
    used: new Set(),
    events: new Set(),
  };
}

function detail(run: FakeRun): RunDetail {
  return { run: run.summary, input: run.created.value, output: run.output, error: run.error };
}

function step(run: FakeRun, key: string): StepRecord {
  const found = run.steps.find((it) => it.key === key);
  if (!found) throw new Fault("step_not_found");
  return found;
}

function terms(run: FakeRun, key: string): CallbackTerms {
  const verify = run.callbacks.get(key);
  if (verify === undefined) throw new Fault("step_not_found");
  if (run.used.has(key)) throw new Fault("callback_used");
  return { verify };
}

/** A finished step, with what the test says otherwise. */
export function stepRecord(changes: Partial<StepRecord> & Pick<StepRecord, "key" | "seq">): StepRecord {
  return {
    name: changes.key,
    kind: "do",
    status: "completed",
    automation: null,
    startedAt: startOfTime,
    endedAt: startOfTime + 5,
    wakeAt: null,
    outcome: null,
    idempotencyKey: `default/run/${changes.key}`,
    input: null,
    output: encode({ at: new Date(startOfTime) }),
    error: null,
    attempts: [
      { attempt: 1, startedAt: startOfTime, endedAt: startOfTime + 1, outcome: "failed", error: encodeError(brokenError) },
      { attempt: 2, startedAt: startOfTime + 2, endedAt: startOfTime + 5, outcome: "completed", error: null },
    ],
    callbackUrl: null,
    ...changes,
  };
}

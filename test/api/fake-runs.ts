import type { AuditRecord } from "#core/audit.ts";
import type { CallbackTerms, Operation, Page, RunDetail, StartCommand, Started, StepRecord } from "#core/command.ts";
import { checkSameStart } from "#core/decision.ts";
import type { CallbackVerification, Recorded, RunCreated } from "#core/entry.ts";
import { Fault } from "#core/fault.ts";
import { checkSameOrigin, type ForkPlan, type TakenOver } from "#core/fork.ts";
import { isFinal, journalSeq, type RunStatus, type RunSummary } from "#core/run.ts";
import { decode, encode, encodeError, summarizeError } from "#core/value.ts";
import { newRun } from "#engine/new-run.ts";
import type { RunHandle } from "#objects/runs.ts";
import type { Registry } from "#sdk/registry.ts";
import { decide } from "./fake-approvals.ts";

/** Runs without objects: they start, end at once or wait, and write down everything that changed them. */
export interface FakeRuns {
  run: (namespace: string, runId: string) => RunHandle;
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
  /** What the run tells of itself when it is asked what would be undone or repeated. */
  undo: string[];
  plan: ForkPlan;
  audit: AuditRecord[];
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
  const unused = (): Promise<never> => Promise.reject(new Error("The API has no business here."));
  return {
    start: (command, waitMs) => {
      fakes.waits.push(waitMs);
      return answer(() => start(fakes, registry, name, command));
    },
    startFrom: (command, taken) => answer(() => startFrom(fakes, registry, command, taken)),
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
    operate: (operation) => answer(() => operate(fakes, existing(), operation)),
    undoPlan: () => answer(() => existing().undo),
    forkPlan: (from) => answer(() => planFrom(existing(), from)),
    takeOver: (origin) => answer(() => ({ origin, input: existing().created.value, entries: existing().journal.slice(1) })),
    detail: (waitMs) => {
      fakes.waits.push(waitMs);
      return answer(() => detail(existing()));
    },
    steps: (after, limit) => answer(() => pageOf(existing().steps, after, limit)),
    step: (key) => answer(() => step(existing(), key)),
    journal: (after, limit) => answer(() => pageOf(existing().journal, after, limit)),
    audit: (after, limit) => answer(() => pageOf(existing().audit, after, limit)),
    decide: (command) => answer(() => decide(fakes.writes, existing(), command)),
    claim: unused,
    renew: unused,
    settle: unused,
    indexed: unused,
    poke: unused,
    remove: unused,
  };
}

function planFrom(run: FakeRun, from: string): ForkPlan {
  step(run, from);
  return run.plan;
}

function pageOf<T extends { readonly seq: number }>(all: readonly T[], after: number, limit: number): Page<T> {
  const rest = all.filter((item) => item.seq > after);
  const items = rest.slice(0, limit);
  return { items, next: rest.length > limit ? (items.at(-1)?.seq ?? null) : null };
}

/** As the real ones do: refuses what the state does not allow, and what was decided on another state. */
function operate(fakes: FakeRuns, run: FakeRun, operation: Operation): RunSummary {
  const { status, step: at } = run.summary;
  const { action, expectedSeq } = operation;
  if (isFinal(status)) {
    if (action === "discard" && run.summary.reason?.code === "discarded") return run.summary;
    throw new Fault("run_ended");
  }
  if (expectedSeq !== null && expectedSeq !== journalSeq(run.summary)) throw new Fault("stale");
  if (action === "resume" && status !== "paused") throw new Fault("not_paused");
  if ("key" in operation && operation.key !== at) throw new Fault(run.steps.some((it) => it.key === operation.key) ? "step_state" : "step_not_found");
  if (action === "rollback" && run.undo.length === 0) throw new Fault("nothing_to_undo");
  fakes.writes.push([action, run.summary.id, operation]);
  const next = after[action];
  const reason = action === "discard" ? { code: "discarded", message: "", step: null, until: null } : null;
  run.summary = { ...run.summary, status: next, reason, fingerprint: null, endedAt: isFinal(next) ? startOfTime : null, seq: run.summary.seq + 2 };
  return run.summary;
}

const after: Readonly<Record<Operation["action"], RunStatus>> = {
  pause: "paused",
  resume: "running",
  retry: "running",
  complete: "running",
  skip: "running",
  fail: "running",
  cancel: "cancelled",
  rollback: "compensating",
  terminate: "terminated",
  discard: "terminated",
};

function start(fakes: FakeRuns, registry: Registry, name: string, command: StartCommand): Started {
  const known = fakes.runs.get(name);
  if (known) {
    checkSameStart(known.created, command, known.created.value);
    return { ...detail(known), created: false };
  }
  const created = { ...newRun(registry, command, startOfTime), seq: 1 };
  fakes.writes.push(["start", command]);
  const run = newFakeRun(created);
  fakes.runs.set(name, run);
  return { ...detail(run), created: true };
}

function startFrom(fakes: FakeRuns, registry: Registry, command: StartCommand, { origin }: TakenOver): Started {
  const name = `${command.namespace}:${command.runId}`;
  const known = fakes.runs.get(name);
  if (known) {
    checkSameOrigin(known.created, origin);
    return { ...detail(known), created: false };
  }
  const created = { ...newRun(registry, command, startOfTime), origin, seq: 1 };
  fakes.writes.push(["startFrom", command, origin]);
  const run = newFakeRun(created);
  fakes.runs.set(name, run);
  return { ...detail(run), created: true };
}

/** Has the run wait for a person at `charge`, as the index and the run itself tell it. */
export function park(run: FakeRun, changes: Partial<RunSummary> = {}): RunSummary {
  run.summary = {
    ...run.summary,
    status: "paused",
    reason: { code: "step_failed", message: "Step charge failed 3 times; a person must act.", step: "charge", until: null },
    step: "charge",
    error: summarizeError(encodeError(brokenError)),
    fingerprint: "0123456789abcdef",
    nextWakeAt: null,
    seq: run.summary.seq + 2,
    ...changes,
  };
  run.steps = [stepRecord({ key: "charge", seq: 2, status: "parked", input: encode({ amount: 5 }), output: null, endedAt: null })];
  return run.summary;
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
      fingerprint: null,
      origin: created.origin,
      approvals: [],
      seq: 3,
    },
    output: status === "completed" ? created.value : null,
    error,
    steps: [],
    journal: [created],
    callbacks: new Map(),
    used: new Set(),
    events: new Set(),
    undo: [],
    plan: { kept: [], repeated: [], unsafe: [] },
    audit: [],
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
    policy: null,
    onFailure: "fail",
    compensates: false,
    unsafeToRepeat: false,
    approval: null,
    ...changes,
  };
}

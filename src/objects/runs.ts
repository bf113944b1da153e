import type { DecideCommand } from "#core/approval.ts";
import type { AuditRecord } from "#core/audit.ts";
import type {
  AttemptOutcome,
  AttemptRef,
  CallbackTerms,
  Claim,
  EventAccepted,
  EventCommand,
  Operation,
  Page,
  RunDetail,
  Settled,
  StartCommand,
  Started,
  StepRecord,
} from "#core/command.ts";
import type { Recorded, RunOrigin } from "#core/entry.ts";
import type { Answer } from "#core/fault.ts";
import { Fault } from "#core/fault.ts";
import type { ForkPlan, TakenOver } from "#core/fork.ts";
import type { RunSummary } from "#core/run.ts";
import type { BaseRunObject } from "./run-object.ts";

export type RunNamespace = DurableObjectNamespace<BaseRunObject>;

/** One run, from outside its object. Faults are thrown as such; a call that did not get through is repeated, which every command allows. */
export interface RunHandle {
  start(command: StartCommand, waitMs: number): Promise<Started>;
  sendEvent(command: EventCommand): Promise<EventAccepted>;
  callbackTerms(key: string): Promise<CallbackTerms>;
  callback(key: string, payload: string): Promise<RunSummary>;
  decide(command: DecideCommand): Promise<RunSummary>;
  operate(operation: Operation): Promise<RunSummary>;
  undoPlan(from: string | null): Promise<readonly string[]>;
  forkPlan(from: string): Promise<ForkPlan>;
  takeOver(origin: RunOrigin): Promise<TakenOver>;
  startFrom(command: StartCommand, taken: TakenOver): Promise<Started>;
  claim(ref: AttemptRef): Promise<Claim>;
  renew(ref: AttemptRef): Promise<boolean>;
  settle(ref: AttemptRef, outcome: AttemptOutcome): Promise<Settled>;
  indexed(seq: number): Promise<boolean>;
  remove(actor: string): Promise<null>;
  poke(): Promise<null>;
  detail(waitMs: number): Promise<RunDetail>;
  steps(after: number, limit: number): Promise<Page<StepRecord>>;
  step(key: string): Promise<StepRecord>;
  journal(after: number, limit: number): Promise<Page<Recorded>>;
  audit(after: number, limit: number): Promise<Page<AuditRecord>>;
}

/** The object of a run is found by its name alone, so nothing maps ids to objects, and nothing can lose the mapping. */
export function runHandle(runs: RunNamespace, namespace: string, runId: string): RunHandle {
  const call = <T>(ask: (stub: DurableObjectStub<BaseRunObject>) => Promise<Answer<T>>): Promise<T> =>
    callWithRetry(() => ask(runs.getByName(`${namespace}:${runId}`)));
  return {
    start: (command, waitMs) => call((stub) => stub.start(command, waitMs) as Promise<Answer<Started>>),
    sendEvent: (command) => call((stub) => stub.sendEvent(command) as Promise<Answer<EventAccepted>>),
    callbackTerms: (key) => call((stub) => stub.callbackTerms(key) as Promise<Answer<CallbackTerms>>),
    callback: (key, payload) => call((stub) => stub.callback(key, payload) as Promise<Answer<RunSummary>>),
    decide: (command) => call((stub) => stub.decide(command) as Promise<Answer<RunSummary>>),
    operate: (operation) => call((stub) => stub.operate(operation) as Promise<Answer<RunSummary>>),
    undoPlan: (from) => call((stub) => stub.undoPlan(from) as Promise<Answer<readonly string[]>>),
    forkPlan: (from) => call((stub) => stub.forkPlan(from) as Promise<Answer<ForkPlan>>),
    takeOver: (origin) => call((stub) => stub.takeOver(origin) as Promise<Answer<TakenOver>>),
    startFrom: (command, taken) => call((stub) => stub.startFrom(command, taken) as Promise<Answer<Started>>),
    claim: (ref) => call((stub) => stub.claim(ref) as Promise<Answer<Claim>>),
    renew: (ref) => call((stub) => stub.renew(ref) as Promise<Answer<boolean>>),
    settle: (ref, outcome) => call((stub) => stub.settle(ref, outcome) as Promise<Answer<Settled>>),
    indexed: (seq) => call((stub) => stub.indexed(seq) as Promise<Answer<boolean>>),
    remove: (actor) => call((stub) => stub.remove(actor) as Promise<Answer<null>>),
    poke: () => call((stub) => stub.poke() as Promise<Answer<null>>),
    detail: (waitMs) => call((stub) => stub.detail(waitMs) as Promise<Answer<RunDetail>>),
    steps: (after, limit) => call((stub) => stub.steps(after, limit) as Promise<Answer<Page<StepRecord>>>),
    step: (key) => call((stub) => stub.step(key) as Promise<Answer<StepRecord>>),
    journal: (after, limit) => call((stub) => stub.journal(after, limit) as Promise<Answer<Page<Recorded>>>),
    audit: (after, limit) => call((stub) => stub.audit(after, limit) as Promise<Answer<Page<AuditRecord>>>),
  };
}

const attempts = 4;

/**
 * Calls with a fresh stub each time, since one that saw its object reset stays broken. After a reset the outcome is unknown; every command answers
 * a repeat as it did the first time. @throws the object's Fault, or `overloaded` when it could not be reached.
 */
async function callWithRetry<T>(ask: () => Promise<Answer<T>>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask().catch((error: unknown) => unreached(error, attempt));
    if (answer?.ok) return answer.value;
    if (answer) throw new Fault(answer.fault.code, answer.fault.message, { ...answer.fault.details });
    await scheduler.wait(20 * 4 ** attempt * (0.5 + Math.random()));
  }
}

/** Null when the call is worth repeating. @throws what the object's code threw, and `overloaded` when it is time to give up. */
function unreached(error: unknown, attempt: number): null {
  const overloaded = hasFlag(error, "overloaded");
  // The object went away or was never reached: not something that its code threw.
  if (!overloaded && !hasFlag(error, "retryable") && !hasFlag(error, "durableObjectReset")) throw error;
  if (overloaded || attempt === attempts) throw new Fault("overloaded", undefined, {}, { cause: error });
  return null;
}

function hasFlag(error: unknown, flag: string): boolean {
  return typeof error === "object" && error !== null && Reflect.get(error, flag) === true;
}

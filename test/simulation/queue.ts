import type { AttemptOutcome, Claim, StepMessage } from "#core/command.ts";
import { Fault } from "#core/fault.ts";
import { isUnderWay } from "#core/step-state.ts";
import { decode, encode, encodeError } from "#core/value.ts";
import { defaultSettings } from "#engine/ports.ts";
import type { RunEngine } from "#engine/run-engine.ts";
import { verdictOf } from "#sdk/errors.ts";
import type { Incident } from "./plan.ts";
import { call, callUntilAnswered } from "./rpc.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { executorAtWork, type Work } from "./work.ts";

/** After so many deliveries the queue gives a message up. */
const deliveries = 4;

/** A message is put on the queue, which may lose, repeat or keep it. */
export function deliver(object: SimulatedObject, message: StepMessage): void {
  const { world } = object;
  const incident = world.take("message");
  if (incident) world.count(incident.what);
  if (incident?.what === "message_lost") return;
  const delay = incident?.what === "message_late" ? incident.b * 100 : world.chance.pick([0, 1, 3, 12]);
  world.after(delay, "message", () => consume(object, message, 1));
  if (incident?.what === "message_twice") world.after(delay + (incident.a % 3) * incident.b, "message again", () => consume(object, message, 1));
}

/** An executor takes a message, as `objects/executor.ts` does. */
function consume(object: SimulatedObject, message: StepMessage, tries: number): void {
  const { world } = object;
  const incident = world.take("execution");
  if (incident) world.count(incident.what);
  call(object, {
    name: `claim ${message.key}/${message.attempt}`,
    command: (engine) => engine.claim(message),
    isHosted: false,
    answered: (answer) => {
      if (answer.type === "unknown") return again(object, message, tries);
      if (answer.type === "refused") return world.fail(new Error(`a claim was refused: ${answer.code}`));
      if (answer.value.granted) new Executor(object, message, { claim: answer.value, incident, tries }).run();
    },
  });
}

function again(object: SimulatedObject, message: StepMessage, tries: number): void {
  const { world } = object;
  if (tries < deliveries) return void world.after(Math.min(60_000, 1000 * 2 ** tries), "message again", () => consume(object, message, tries + 1));
  // To the dead-letter queue: the attempt counts as failed.
  const error = encodeError(new Fault("dispatch_failed", `Attempt ${message.attempt} of ${message.key} could not be delivered.`));
  settle(object, message, { ok: false, error, retryable: true, retryAfterMs: null, undelivered: true });
}

function settle(object: SimulatedObject, message: StepMessage, outcome: AttemptOutcome, unknown?: () => void): void {
  const { key, attempt } = message;
  const command = { key, attempt };
  const it = {
    name: `settle ${key}/${attempt}`,
    command: (engine: RunEngine) => {
      const step = engine.state.open.get(key);
      const isCurrent = step !== undefined && isUnderWay(step) && step.attempt === attempt;
      if (isCurrent) {
        const { ok } = outcome;
        object.answers.set(`${key}/${attempt}`, ok ? { ok, value: outcome.value } : { ok, retryable: outcome.retryable, retryAfterMs: outcome.retryAfterMs });
      }
      const isTaken = isCurrent && step.status === "claimed";
      const settled = engine.settle(command, outcome);
      const isOver = isTaken && !outcome.ok && outcome.undelivered && settled === "recorded";
      object.world.check(!isOver, "O11", () => `attempt ${attempt} of ${key} counts as not delivered, and an executor has it`);
      return settled;
    },
    isHosted: true,
  };
  if (unknown) call(object, { ...it, answered: (answer) => answer.type === "unknown" && unknown() });
  else callUntilAnswered(object, it);
}

type Granted = Extract<Claim, { granted: true }>;

/** Works on one attempt: renews its lease, keeps its time, and brings back what came of it. */
class Executor {
  readonly #object: SimulatedObject;
  readonly #message: StepMessage;
  readonly #claim: Granted;
  readonly #incident: Incident | null;
  readonly #tries: number;
  readonly #input: unknown;
  #isDead = false;
  #isDone = false;
  #cancelRenewal: () => void = () => {};
  readonly #controller = new AbortController();
  readonly #atWork: Work;

  constructor(object: SimulatedObject, message: StepMessage, work: { readonly claim: Granted; readonly incident: Incident | null; readonly tries: number }) {
    this.#object = object;
    this.#message = message;
    this.#claim = work.claim;
    this.#input = decode(work.claim.input);
    this.#incident = work.incident;
    this.#tries = work.tries;
    this.#atWork = executorAtWork(object, { key: message.key, attempt: message.attempt, deadlineAt: object.world.hostNow + work.claim.timeoutMs });
  }

  run(): void {
    this.#checkClaim();
    if (this.#incident?.what === "executor_dies" && this.#incident.a % 3 === 0) return this.#die();
    if (this.#incident?.what !== "executor_silent") this.#renew();
    if (this.#incident?.what === "executor_dies") this.#object.world.after(this.#incident.b, "executor dies", () => this.#die());
    this.#work();
  }

  #die(): void {
    this.#isDead = true;
    this.#object.atWork.delete(this.#atWork);
    this.#cancelRenewal();
  }

  /** An attempt is given out once, with its input, its key and its time. */
  #checkClaim(): void {
    const { world, grants, run, model } = this.#object;
    const { key, attempt } = this.#message;
    const { recorded, idempotencyKey } = this.#claim;
    const id = `${key}/${attempt}`;
    world.check(!recorded || !grants.has(id), "O5", () => `attempt ${id} was given out twice`);
    if (recorded) grants.add(id);
    world.check(idempotencyKey === `default/${run}/${encodeURIComponent(key)}`, "O5", () => `${id} was given the key ${idempotencyKey}`);
    const step = model.open.get(key);
    if (!recorded || !step?.start.policy) return;
    const { timeoutMs, totalTimeoutMs } = step.start.policy;
    const longest = Math.min(timeoutMs ?? 840_000, step.budgetAt + (totalTimeoutMs ?? Number.POSITIVE_INFINITY) - step.heardAt);
    world.check(this.#claim.timeoutMs === longest, "O12", () => `${id} may take ${this.#claim.timeoutMs} ms, not ${longest}`);
    const input = this.#input as { v?: string };
    if (step.start.step === "run") world.check(input.v === (step.correctedInput ? "corrected" : "in"), "O3", () => `${id} was given the input ${input.v}`);
  }

  #renew(): void {
    const object = this.#object;
    const { key, attempt } = this.#message;
    this.#cancelRenewal = object.world.after(defaultSettings.leaseMs / 3, "renew", () => {
      if (this.#isDead || this.#isDone) return;
      call(object, {
        name: `renew ${key}/${attempt}`,
        command: (engine) => {
          const isWanted = engine.renew({ key, attempt });
          const step = object.model.steps.get(key);
          const isHeard = isWanted || (step?.closedAs === "claimed" && step.attempt === attempt);
          if (step && isHeard) step.heardAt = Math.max(step.heardAt, object.world.hostNow);
          return isWanted;
        },
        isHosted: false,
        answered: (answer) => {
          if (answer.type === "ok" && !answer.value) this.#controller.abort();
        },
      });
      this.#renew();
    });
  }

  #work(): void {
    const { world } = this.#object;
    const { key, attempt, runId: run } = this.#message;
    const { claim } = { claim: this.#claim };
    const definition = world.automations.get(claim.automation);
    const failed = (error: unknown): void => {
      const verdict = verdictOf(error, attempt, world.hostNow, definition?.options.retryIf);
      this.#bring({ ok: false, error: encodeError(error), ...verdict });
    };
    const cancel = world.after(Math.max(0, claim.timeoutMs), "executor's time-out", () => {
      failed(new Fault("timeout"));
      this.#controller.abort();
    });
    const done = (value: unknown): void => {
      cancel();
      try {
        this.#bring({ ok: true, value: encode(value) });
      } catch (error) {
        failed(error);
      }
    };
    world.executing = { key, attempt, run, isDead: () => this.#isDead };
    try {
      const context = {
        input: this.#input,
        attempt,
        idempotencyKey: claim.idempotencyKey,
        signal: this.#controller.signal,
        log: { info() {}, warn() {}, error() {} },
      };
      Promise.resolve(definition?.options.run(context)).then(done, (error: unknown) => {
        cancel();
        failed(error);
      });
    } catch (error) {
      cancel();
      failed(error);
    } finally {
      world.executing = null;
    }
  }

  #bring(outcome: AttemptOutcome): void {
    if (this.#isDead || this.#isDone) return;
    this.#isDone = true;
    this.#object.atWork.delete(this.#atWork);
    this.#cancelRenewal();
    const { world } = this.#object;
    if (!this.#claim.recorded && !outcome.ok) return again(this.#object, this.#message, this.#tries);
    const bring = (): void => settle(this.#object, this.#message, outcome, () => again(this.#object, this.#message, this.#tries));
    // One that went silent comes back when others have taken over.
    if (this.#incident?.what === "executor_silent") world.after(this.#incident.b * 100, "silent executor", bring);
    else bring();
  }
}

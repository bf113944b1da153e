import { NonRetryableError, RetryAfterError } from "#sdk/errors.ts";
import type { Notice } from "#sdk/step.ts";
import { remoteCallsBack, someoneDecides } from "./callers.ts";
import type { Attempt } from "./interpret.ts";
import type { Answered } from "./model.ts";
import { always, type Script } from "./program.ts";
import type { SimulatedObject } from "./simulated-object.ts";
import { actionAtWork, checkNobodyAtWork } from "./work.ts";
import type { World } from "./world.ts";

/** What actions do in the world, and what the world makes of being asked. */

const retryAfterMs = 2000;
const filler = "x".repeat(5000);

/** One attempt of a step's action: checked, carried out after the turn is durable, and answered after a while, as its script says. */
export function perform(world: World, attempt: Attempt): unknown {
  const object = world.object(attempt.run);
  const { executing } = world;
  const { key, script } = attempt;
  checkAttempt(world, object, attempt);
  if (attempt.undoes && attempt.attempt === 1) checkNobodyAtWork(object, key.slice(1));
  const { life } = object;
  // What a turn that was lost was told counts no more.
  if (!executing) object.answers.delete(`${key}/${attempt.attempt}`);
  const isBad = attempt.attempt <= script.failures && !(script.failures === always && world.calm);
  const answered = isBad ? badAnswer(attempt) : goodAnswer(attempt);
  const answer = (): unknown => {
    object.answers.set(`${key}/${attempt.attempt}`, answered);
    return isBad ? throwAs(script, attempt) : resultOf(attempt);
  };
  if (script.instant && script.how !== "hang") {
    if (!executing) return answer();
  }
  return new Promise((resolve, reject) => {
    const isAlive = (): boolean => (executing ? !executing.isDead() : life === object.life);
    const work = executing ? null : actionAtWork(object, attempt);
    let isOver = false;
    const end = (settle: () => void): void => {
      isOver = true;
      if (work) object.atWork.delete(work);
      settle();
    };
    whenToldToStop(world, attempt, () => {
      if (isAlive() && !isOver) end(() => reject(new Error("It was told to stop.")));
    });
    const act = (): void => {
      if (!executing) checkEffect(world, object, attempt);
      world.counts.effects++;
      if (world.lines) world.trace(`effect ${attempt.run}/${key} attempt ${attempt.attempt}`);
      if (attempt.callback) remoteCallsBack(object, key, attempt.callback.wait);
      if (isBad && script.how === "hang") return;
      world.after(script.latencyMs, "answer", () => {
        if (!isAlive()) return;
        if (isOver) return;
        try {
          const value = executing ? answerOf(attempt, isBad) : answer();
          end(() => resolve(value));
        } catch (error) {
          end(() => reject(error as Error));
        }
      });
    };
    if (executing) act();
    else object.afterCommit(() => life === object.life && act());
  });
}

/** An action that looks at its signal goes on for a while before it stops. */
function whenToldToStop(world: World, { script, signal }: Attempt, stop: () => void): void {
  const { lingersMs } = script;
  if (lingersMs !== null) signal.addEventListener("abort", () => void world.after(lingersMs, "stops", stop));
}

function answerOf(attempt: Attempt, isBad: boolean): unknown {
  return isBad ? throwAs(attempt.script, attempt) : resultOf(attempt);
}

function resultOf({ key, attempt, script }: Attempt): string {
  return `${key}@${attempt}${script.large ? filler : ""}`;
}

function goodAnswer(attempt: Attempt): Answered {
  return { ok: true, value: `["${resultOf(attempt)}"]` };
}

function badAnswer({ script, callback, undoes }: Attempt): Answered {
  // What a callback's request returns is not recorded.
  if (script.how === "unrecordable" && callback) return { ok: true, value: "" };
  const isFinal = script.how === "non_retryable" || script.how === "unrecordable" || (script.how === "refused_by_retry_if" && !undoes);
  return { ok: false, retryable: !isFinal, retryAfterMs: script.how === "retry_after" ? retryAfterMs : null };
}

function throwAs({ how }: Script, { key, attempt }: Attempt): unknown {
  if (how === "unrecordable") return () => {};
  if (how === "non_retryable") throw new NonRetryableError(`no use: ${key}`);
  if (how === "retry_after") throw new RetryAfterError(`later: ${key}`, retryAfterMs);
  throw new Error(`attempt ${attempt} of ${key}`);
}

/** The engine calls an action for the attempt that it has journaled, with what belongs to it. */
function checkAttempt(world: World, object: SimulatedObject, attempt: Attempt): void {
  const { key, run, idempotencyKey } = attempt;
  const { executing } = world;
  const known = object.model.steps.get(key);
  const keyRun = known?.start.keyRunId ?? run;
  const expected = `default/${keyRun}/${encodeURIComponent(key)}`;
  world.check(idempotencyKey === expected, "O5", () => `attempt ${attempt.attempt} of ${key} was given the key ${idempotencyKey}`);
  const owner = world.keyOwners.get(idempotencyKey);
  const me = `${keyRun}/${key}`;
  if (owner === undefined) world.keyOwners.set(idempotencyKey, me);
  world.check(owner === undefined || owner === me, "O5", () => `${me} and ${owner} share the key ${idempotencyKey}`);
  if (executing) {
    world.check(executing.key === key && executing.attempt === attempt.attempt, "O5", () => `an executor of ${executing.key} got the input of ${key}`);
  }
}

/** An effect happens after its attempt is in the journal, once for each attempt, and never for a step that has ended. */
function checkEffect(world: World, object: SimulatedObject, attempt: Attempt): void {
  const { key, undoes, input } = attempt;
  const step = object.model.open.get(key);
  const id = `${key}/${attempt.attempt}`;
  const begun = object.model.steps.get(key);
  // What began in a turn that also ended it was on its way already.
  if (!step && begun && begun.attempt === attempt.attempt && begun.attemptSeq > object.turnBeganAt) return;
  world.check(step !== undefined, "O5", () => `an effect of ${key}, which is ${object.model.steps.get(key)?.phase ?? "not in the journal"}`);
  if (!step) return;
  world.check(
    step.phase === "running" && step.attempt === attempt.attempt,
    "O5",
    () => `attempt ${attempt.attempt} of ${key} acts; it is ${step.phase} at ${step.attempt}`,
  );
  world.check(!object.performed.has(id), "O5", () => `attempt ${id} acted twice`);
  object.performed.add(id);
  if (undoes) return checkUndo(world, object, { key: key.slice(1), undoes });
  if (input !== undefined) {
    const { v } = input as { v: string };
    world.check(v === (step.correctedInput ? "corrected" : "in"), "O3", () => `${key} got the input ${v}`);
  }
}

function checkUndo(world: World, object: SimulatedObject, { key, undoes }: { readonly key: string; readonly undoes: NonNullable<Attempt["undoes"]> }): void {
  const step = object.model.steps.get(key);
  if (!step) return world.fail(new Error(`${key} is undone and never was`));
  const isDone = step.phase === "completed";
  world.check(undoes.inDoubt === !isDone, "rollback", () => `the undo of ${key} (${step.phase}) was told that it is ${undoes.inDoubt ? "" : "not "}in doubt`);
  const expected = isDone ? (step.endValue ?? undefined) : undefined;
  const given = undoes.output === undefined ? undefined : JSON.stringify([undoes.output]);
  world.check(given === expected, "rollback", () => `the undo of ${key} was given ${given}, not ${expected}`);
  const keyRun = step.start.keyRunId ?? object.run;
  world.check(
    undoes.idempotencyKey === `default/${keyRun}/${encodeURIComponent(key)}`,
    "rollback",
    () => `the undo of ${key} was given the key ${undoes.idempotencyKey}`,
  );
}

/** Somebody is told of a run; now and then it takes a second try. */
export function performNotice(world: World, notice: Notice, idempotencyKey: string): Promise<string> {
  world.counts.effects++;
  if (world.lines) world.trace(`told: ${notice.type} ${notice.step ?? ""} (${idempotencyKey})`);
  const object = world.object(notice.runId);
  if (notice.type === "approval" && notice.step !== null) someoneDecides(object, notice.step);
  const fails = !world.calm && world.chance.yes(40);
  return new Promise((resolve, reject) => {
    world.after(world.chance.pick([1, 30, 500]), "told", () => {
      if (fails) reject(new Error("The message did not go out."));
      else resolve("told");
    });
  });
}

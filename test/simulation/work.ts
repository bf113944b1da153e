import { defaultSettings } from "#engine/ports.ts";
import type { SimulatedObject } from "./simulated-object.ts";

/** Who is at work on a step: an action in the object, or an executor. */
export interface Work {
  readonly key: string;
  readonly attempt: number;
  /** Why it need not be waited for; null: it must. */
  readonly givenUp: () => string | null;
}

const { leaseMs } = defaultSettings;

/** An action in the object is waited for as long as a lease from when its signal told it to stop. It dies with the object. */
export function actionAtWork(object: SimulatedObject, of: { readonly key: string; readonly attempt: number; readonly signal: AbortSignal }): Work {
  const { world, life } = object;
  let toldAt: number | null = null;
  of.signal.addEventListener("abort", () => {
    toldAt = world.hostNow;
  });
  const givenUp = (): string | null => {
    if (life !== object.life) return "gone";
    return toldAt !== null && world.latestHostNow - toldAt >= leaseMs ? "ignores its signal" : null;
  };
  return begun(object, { key: of.key, attempt: of.attempt, givenUp });
}

/** An executor is waited for until it has been silent for a lease, or its attempt's time is over by as much. */
export function executorAtWork(object: SimulatedObject, of: { readonly key: string; readonly attempt: number; readonly deadlineAt: number }): Work {
  const { world, model } = object;
  const { key, attempt, deadlineAt } = of;
  const givenUp = (): string | null => {
    const step = model.steps.get(key);
    if (step?.closedAs !== "claimed" || step.attempt !== attempt) return "lost, or settled";
    const now = world.latestHostNow;
    // An object that has just been loaded gives those that it does not hear of half a lease.
    return now - step.heardAt >= leaseMs / 2 || now >= deadlineAt + leaseMs ? "silent" : null;
  };
  return begun(object, { key, attempt, givenUp });
}

function begun(object: SimulatedObject, work: Work): Work {
  object.atWork.add(work);
  return work;
}

/** Undoing begins when nobody works any more on what is to be undone: no effect comes after its undo. */
export function checkNobodyAtWork(object: SimulatedObject, key: string): void {
  for (const work of object.atWork) {
    if (work.key !== key) continue;
    object.world.check(work.givenUp() !== null, "rollback", () => `${key} is undone while attempt ${work.attempt} of it is at work`);
  }
  checkNobodyAtWorkThere(object, key);
}

/** Who was at work for a run that ended is waited for by the run that undoes it, as long as a lease: it is not heard of there. */
function checkNobodyAtWorkThere({ world, model }: SimulatedObject, key: string): void {
  const { created, rollback } = model;
  if (created?.origin?.relation !== "rollback" || !rollback || world.latestHostNow - rollback.at >= leaseMs) return;
  const source = world.object(created.origin.runId);
  const step = source.model.steps.get(key);
  if (step?.closedAs !== "claimed" && step?.closedAs !== "running") return;
  for (const work of source.atWork) {
    const isGone = work.key !== key || work.attempt !== step.attempt || work.givenUp() !== null;
    world.check(isGone, "rollback", () => `${key} is undone by another run while attempt ${work.attempt} of it is at work`);
  }
}
